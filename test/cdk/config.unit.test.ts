import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConfigError, parseConfig, readConfig } from '../../cdk/config/read.ts';
import { apply, defaultShards } from '../../infra/contract.ts';
import { environments, root } from './support.ts';

const text = (name: string) => readFileSync(join(root, 'cdk/environments', `${name}.json`), 'utf8');
const problemsOf = (change: (value: ReturnType<typeof JSON.parse>) => void): string => {
  const value = JSON.parse(text('prod'));
  change(value);
  try {
    parseConfig('prod.json', JSON.stringify(value));
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return '';
};

test.each(environments)('%s is a configuration', (name) => {
  expect(readConfig(name).name).toBe(name);
});

test('what is left out has the contract’s values', () => {
  expect(readConfig('prod')).toMatchObject({ shards: defaultShards, apply: { concurrency: apply.concurrency } });
});

test('every problem is named at once, with its place', () => {
  const message = problemsOf((config) => {
    config.account = '12';
    config.network.privateSubnetIds.push('subnet-00000000000000c03');
    config.database.host = 'photomemory.proxy-abc.eu-west-1.rds.amazonaws.com';
    config.listener.baseImage = 'node:24';
    config.alarms.email = 'nobody';
    config.alarm = {};
  });
  expect(message.split('\n')[0]).toContain('6 problem(s)');
  for (const place of [
    'account',
    'network.privateSubnetIds',
    'database.host',
    'listener.baseImage',
    'alarms.email',
    '(top)',
  ]) {
    expect(message).toContain(`  ${place}: `);
  }
});

test('a proxy, which refuses replication connections, is refused as the database', () => {
  expect(
    problemsOf((config) => Object.assign(config.database, { host: 'a.proxy-b.eu-west-1.rds.amazonaws.com' })),
  ).toContain('not a proxy');
});

test.each([
  [512, 1024, true],
  [256, 512, true],
  [1024, 1024, false],
  [2048, 2048, false],
  [256, 3072, false],
  [512, 1536, false],
  [2048, 16384, true],
])('a task of %d CPU units and %d MiB: Fargate takes it: %s', (cpu, memoryMiB, taken) => {
  const message = problemsOf((config) => Object.assign(config.listener, { cpu, memoryMiB }));
  expect(message).toBe(taken ? '' : message);
  if (!taken)
    expect(message).toMatch(
      new RegExp(
        `listener\\.memoryMiB: with cpu ${cpu} Fargate takes ${cpu === 256 ? '512, 1024 or 2048' : '\\d+ to \\d+, in steps of 1024'}`,
      ),
    );
});

test('a trial is never production', () => {
  const config = { ...JSON.parse(text('trial')), production: true };
  expect(() => parseConfig('trial.json', JSON.stringify(config))).toThrow(/production/);
});

test('an unknown environment and a file that is not JSON are said so', () => {
  expect(() => readConfig('nowhere')).toThrow(/no cdk\/environments\/nowhere\.json/);
  expect(() => parseConfig('x.json', '{')).toThrow(/x\.json is not JSON/);
});
