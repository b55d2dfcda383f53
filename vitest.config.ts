import { defineConfig } from 'vitest/config';

/** Kinds of tests, told apart by the file's name; `vitest run --project NAME` runs one kind. */
const kind = (name: string, postgresMajor: 18 | 15, include: string[], exclude: string[] = []) => ({
  // Inherited, the global setup would start its servers once more for each project.
  extends: false as const,
  test: {
    name,
    include,
    exclude,
    provide: { postgresMajor },
    // What hangs is found all the same; what a busy machine delays is not taken for it.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    maxWorkers: 2,
    // A process for each file would take a second each to start and load what the last one had loaded. What a file leaves
    // behind is found by testDatabase(), which is its only way to a database.
    isolate: false,
  },
});

export default defineConfig({
  test: {
    globalSetup: './test/support/servers.ts',
    maxWorkers: 2,
    projects: [
      kind('unit', 18, ['test/**/*.unit.test.ts']),
      kind('postgres-18', 18, ['test/**/*.test.ts'], ['test/**/*.unit.test.ts']),
      // What speaks the replication protocol or depends on the catalogs runs on the oldest version we support as well.
      kind('postgres-15', 15, ['test/**/*.protocol.test.ts']),
    ],
  },
});
