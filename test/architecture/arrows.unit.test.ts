import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const config = join(root, '.dependency-cruiser.cjs');
const rules: readonly { name: string }[] = createRequire(import.meta.url)(config).forbidden;

interface Violation {
  rule: { name: string };
  from: string;
}

/** For each rule a file that breaks it, and what it imports to do so. */
const violations: Readonly<Record<string, readonly [file: string, imported: string]>> = {
  'engine-knows-only-itself': ['engine/reads-a-queue.ts', '../infra/sqs.ts'],
  'app-knows-only-itself': ['app/reads-the-engine.ts', '../engine/merge.ts'],
  'sql-knows-only-engine-migration': ['sql/reads-the-merge.ts', '../engine/merge.ts'],
  'examples-knows-only-engine-migration': ['examples/reads-the-merge.ts', '../engine/merge.ts'],
  'infra-knows-only-engine': ['infra/reads-a-handler.ts', '../functions/apply.ts'],
  'functions-knows-only-engine-infra-sql': ['functions/reads-a-command.ts', '../cli/command.ts'],
  'dashboard-knows-only-engine-infra-sql': ['dashboard/reads-a-handler.ts', '../functions/apply.ts'],
  'cli-knows-only-engine-infra-sql-functions-dashboard': ['cli/reads-the-stack.ts', '../cdk/stack.ts'],
  'cdk-knows-only-infra-contract': ['cdk/reads-a-queue.ts', '../infra/sqs.ts'],
  'engine-knows-no-cloud': ['engine/talks-to-aws.ts', '@aws-sdk/client-sqs'],
  'embedded-servers-only-on-this-machine': ['functions/embeds-a-queue.ts', '../infra/local/queue.ts'],
  'no-circles': ['engine/circle-one.ts', './circle-two.ts'],
  resolvable: ['engine/imports-nothing.ts', './there-is-no-such-file.ts'],
  'no-dev-dependencies-in-what-is-deployed': ['functions/needs-vitest.ts', 'vitest'],
};

/** What the rules must let through. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  'engine/merge.ts': ['pg'],
  'engine/migration/contract.ts': [],
  'infra/contract.ts': [],
  'infra/sqs.ts': ['../engine/merge.ts', '@aws-sdk/client-sqs'],
  'infra/local/queue.ts': ['fauxqs', '../contract.ts'],
  'functions/apply.ts': ['../engine/merge.ts', '../infra/sqs.ts', '../sql/migration.ts'],
  'sql/migration.ts': ['../engine/migration/contract.ts'],
  'cdk/stack.ts': ['../infra/contract.ts'],
  'cli/command.ts': ['../engine/merge.ts', '../infra/local/queue.ts', '../functions/apply.ts', '../sql/migration.ts'],
  'engine/circle-two.ts': ['./circle-one.ts'],
};

function importing(imported: readonly string[]): string {
  return `${imported.map((from, index) => `import * as part${index} from '${from}';`).join('\n')}\nexport const x = 1;\n`;
}

function cruise(cwd: string): Promise<Violation[]> {
  const bin = join(root, 'node_modules/.bin/depcruise');
  return new Promise((done, failed) => {
    execFile(
      process.execPath,
      [bin, '--config', config, '--output-type', 'json', '.'],
      { cwd, maxBuffer: 64 << 20 },
      (_, stdout, stderr) => {
        if (!stdout) failed(new Error(stderr));
        else done(JSON.parse(stdout).summary.violations);
      },
    );
  });
}

describe('the arrows between the folders', () => {
  let scratch: string;
  let found: Violation[];

  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'lockstep-arrows-'));
    await symlink(join(root, 'node_modules'), join(scratch, 'node_modules'));
    await cp(join(root, 'package.json'), join(scratch, 'package.json'));
    const files = { ...allowed };
    for (const [file, imported] of Object.values(violations)) files[file] = [imported];
    for (const [file, imported] of Object.entries(files)) {
      await mkdir(dirname(join(scratch, file)), { recursive: true });
      await writeFile(join(scratch, file), importing(imported));
    }
    found = await cruise(scratch);
  }, 60_000);

  afterAll(() => rm(scratch, { recursive: true, force: true }));

  test('there is a violation for each rule, and a rule for each violation', () => {
    expect(rules.map((rule) => rule.name).sort()).toEqual(Object.keys(violations).sort());
  });

  test.each(rules.map((rule) => rule.name))('%s is reported when it is broken', (name) => {
    const file = violations[name]?.[0];
    expect(found.filter((v) => v.from === file).map((v) => v.rule.name)).toContain(name);
  });

  test('what the arrows allow is not reported', () => {
    const broken = new Set(found.map((v) => v.from));
    const expected = new Set(Object.values(violations).map(([file]) => file));
    expected.add('engine/circle-two.ts');
    expect([...broken].filter((file) => !expected.has(file))).toEqual([]);
  });
});
