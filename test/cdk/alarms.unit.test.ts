import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { statusMetrics, upkeepFailed } from '../../infra/contract.ts';
import { resourcesOf, root, synthesize } from './support.ts';

const { monitoring } = synthesize('prod');

interface AlarmProperties {
  readonly AlarmName: string;
  readonly AlarmDescription: string;
  readonly MetricName: string;
  readonly Namespace: string;
  readonly Threshold: number;
  readonly ComparisonOperator: string;
  readonly Statistic?: string;
  readonly TreatMissingData: string;
  readonly AlarmActions: unknown[];
}
const alarms = Object.values(resourcesOf(monitoring, 'AWS::CloudWatch::Alarm')).map(
  ({ Properties }) => Properties as unknown as AlarmProperties,
);
const named = (name: string): AlarmProperties => {
  const alarm = alarms.find(({ AlarmName }) => AlarmName === `lockstep-prod-${name}`);
  if (!alarm) throw new Error(`no alarm ${name}`);
  return alarm;
};

describe('the strategy’s thresholds', () => {
  const day = 24 * 60 * 60 * 1000;
  test.each([
    ['user-subscription-count-match', 'check_subscription_migration_difference', 0, 'critical'],
    ['media-file-migration-complete', 'check_media_migration_difference', 0, 'critical'],
    ['query-response-time-p95', statusMetrics.queryP95, 500, 'warning'],
    ['database-cpu-usage', 'CPUUtilization', 80, 'warning'],
    ['data-migration-duration', statusMetrics.backfillAge, 7 * day, 'warning'],
  ])('%s: more than %s = %d is %s', (name, metric, threshold, severity) => {
    expect(named(name)).toMatchObject({
      MetricName: metric,
      Threshold: threshold,
      ComparisonOperator: 'GreaterThanThreshold',
      AlarmDescription: expect.stringMatching(new RegExp(`^${severity}: `)),
    });
  });
});

test('every danger to the synchronization has an alarm', () => {
  expect(alarms.map(({ AlarmName }) => AlarmName.replace('lockstep-prod-', '')).sort()).toEqual([
    'apply-errors',
    'backfill-behind-plan',
    'data-migration-duration',
    'database-cpu-usage',
    'dead-letters',
    'listener-not-confirming',
    'media-file-migration-complete',
    'oldest-in-flight',
    'quarantine',
    'query-response-time-p95',
    'slot-lag',
    'slot-lost-soon',
    'status-not-published',
    'upkeep-failed',
    'user-subscription-count-match',
    'validation-errors',
    'validation-failed',
    'validation-overdue',
  ]);
});

test('a slot that is lost, or nearly, raises the alarm: the minimum is below the threshold', () => {
  expect(named('slot-lost-soon')).toMatchObject({
    MetricName: statusMetrics.slotLostIn,
    Statistic: 'Minimum',
    ComparisonOperator: 'LessThanThreshold',
    Threshold: 60 * 60 * 1000,
  });
});

test('upkeep that failed once a day stays an alarm until it has gone well', () => {
  expect(named('upkeep-failed')).toMatchObject({ MetricName: upkeepFailed, Threshold: 0, TreatMissingData: 'ignore' });
});

test('silence of the function that publishes is an alarm of its own', () => {
  expect(named('status-not-published')).toMatchObject({
    MetricName: statusMetrics.published,
    TreatMissingData: 'breaching',
  });
});

test('alarms may publish to their topic, which takes nothing in plain HTTP', () => {
  const [topic] = Object.keys(resourcesOf(monitoring, 'AWS::SNS::Topic'));
  expect(alarms.every(({ AlarmActions }) => JSON.stringify(AlarmActions) === JSON.stringify([{ Ref: topic }]))).toBe(
    true,
  );
  const [policy] = Object.values(resourcesOf(monitoring, 'AWS::SNS::TopicPolicy'));
  expect(policy?.Properties.PolicyDocument).toMatchObject({
    Statement: expect.arrayContaining([
      expect.objectContaining({
        Effect: 'Allow',
        Action: 'sns:Publish',
        Principal: { Service: 'cloudwatch.amazonaws.com' },
      }),
      expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
    ]),
  });
});

test('metrics of Lockstep’s own are in the namespace that its functions publish to', () => {
  const own = alarms.filter(({ Namespace }) => !Namespace.startsWith('AWS/'));
  expect(own.length).toBeGreaterThan(10);
  for (const { Namespace } of own) expect(Namespace).toBe('Lockstep/prod');
});

describe('runbooks', () => {
  const folder = join(root, 'docs/runbooks');
  const commands = new Set(readdirSync(join(root, 'cli/commands')).map((file) => file.replace(/\.ts$/, '')));

  test.each(alarms.map(({ AlarmName }) => AlarmName.replace('lockstep-prod-', '')))('%s has one', (name) => {
    const { AlarmDescription } = named(name);
    expect(AlarmDescription).toContain(`/docs/runbooks/${name}.md`);
    expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain(`(${name}.md)`);
    const text = readFileSync(join(folder, `${name}.md`), 'utf8');
    for (const heading of ['## What it means for the data', '## What to look at', '## What to do']) {
      expect(text).toContain(heading);
    }
  });

  test('there is none without an alarm, and each names commands that exist', () => {
    const known = new Set(alarms.map(({ AlarmName }) => `${AlarmName.replace('lockstep-prod-', '')}.md`));
    for (const file of readdirSync(folder).filter((name) => name !== 'README.md')) {
      expect(known).toContain(file);
      const text = readFileSync(join(folder, file), 'utf8');
      for (const [, command = ''] of text.matchAll(/lockstep ([a-z]+)/g)) expect(commands, file).toContain(command);
      for (const [, link = ''] of text.matchAll(/\]\((?!http)([^)#]+)/g)) {
        expect(existsSync(join(folder, link)), `${file} links to ${link}`).toBe(true);
      }
    }
  });
});
