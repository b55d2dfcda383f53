import type { TestProject } from 'vitest/node';
import { type LocalPostgres, type PostgresMajor, startPostgres } from '../../infra/local/postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The version that `testDatabase()` uses in this project. */
    postgresMajor: PostgresMajor;
    /** Superuser URLs of the servers of this run. */
    postgresUrls: Partial<Record<PostgresMajor, string>>;
  }
}

let servers: LocalPostgres[] = [];

/** Nothing begins by itself in the middle of a test: while a table is vacuumed a cutover is refused. Chaos and load runs have it on. */
const settings = { autovacuum: 'off' };

/** One server of each version that the projects of this run ask for, stopped when the run ends. */
export async function setup(root: TestProject): Promise<void> {
  const majors = new Set(root.vitest.projects.filter((project) => project.name !== 'unit').map(majorOf));
  servers = await Promise.all([...majors].map((major) => startPostgres({ major, fsync: false, settings })));
  root.provide('postgresUrls', Object.fromEntries(servers.map((server) => [server.major, server.url()])));
}

export async function teardown(): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}

function majorOf(project: TestProject): PostgresMajor {
  return project.config.provide.postgresMajor ?? 18;
}
