import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { retryQuarantined } from '../../engine/quarantine/retry.ts';
import { silent } from '../../engine/telemetry.ts';
import { passBarrier } from '../../engine/wait/barrier.ts';
import { databaseRoles, environment } from '../../infra/contract.ts';
import { type EventSource, startEventSource } from '../../infra/local/event-source.ts';
import { freePort } from '../../infra/local/port.ts';
import { differences } from '../support/differences.ts';
import { eventually } from '../support/eventually.ts';
import { mendTrialSql } from '../support/mend.ts';
import { loadPhotomemory } from '../support/photomemory.ts';
import { deployLocally, type LocalDeployment } from './local-deployment.ts';
import { entryPoint, type LambdaProcess, type Running, start } from './processes.ts';

/*
 * What `npx cdk synth` has written is started as it is: bundles in folders of their own, plain Node, the variables of the
 * template. One deployment, told in order; each test stands on those above it.
 */
let local: LocalDeployment;
let apply: LambdaProcess;
let validate: LambdaProcess;
let health: LambdaProcess;
let listener: Running;
let source: EventSource | undefined;
let livenessPort: number;

beforeAll(async () => {
  local = await deployLocally();
  livenessPort = await freePort();
}, 300_000);

afterAll(async () => {
  await source?.stop();
  await local?.[Symbol.asyncDispose]();
}, 60_000);

test('the bundles are small, and each brings the authorities of RDS', () => {
  for (const [, { Metadata, Properties }] of local.resourcesOf('AWS::Lambda::Function')) {
    if (!String(Properties.Handler).startsWith('functions/')) continue;
    const bundle = join(local.assembly.folder, Metadata?.['aws:asset:path'] ?? '');
    const [file = ''] = String(Properties.Handler).split('.');
    expect(statSync(join(bundle, `${file}.mjs`)).size, file).toBeLessThan(3_000_000);
    expect(readFileSync(join(bundle, 'rds-ca.pem'), 'utf8').match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(80);
    expect(existsSync(join(bundle, 'node_modules'))).toBe(false);
  }
});

test('the image is Node and the bundle: its entry is there, and nothing else is copied', () => {
  const dockerfile = readFileSync(join(local.imageContext, 'Dockerfile'), 'utf8');
  expect(dockerfile.match(/^COPY .*/gm)).toEqual(['COPY app/ /app/']);
  expect(dockerfile).not.toMatch(/^(RUN|ADD) /m);
  const { node, script } = entryPoint(local.imageContext);
  expect(node).toBe('/nodejs/bin/node');
  expect(existsSync(join(local.imageFolder, script))).toBe(true);
  expect(readdirSync(local.imageFolder).sort()).toEqual(['functions', 'rds-ca.pem']);
});

test('the migrations make schema, data, roles and their passwords, and can be repeated', async () => {
  const migrate = await local.lambda('migrate');
  const first = await migrate.invoke<{ steps: string[]; roles: string[] }>({});
  expect(first.steps).toContain('photomemory: 007_validation_checks.sql');
  expect(first.roles.sort()).toEqual(Object.values(databaseRoles).sort());
  expect(await migrate.invoke({})).toMatchObject({ steps: [], publication: 'unchanged' });
  expect((await local.pool.query('SELECT count(*)::int AS n FROM users')).rows).toEqual([{ n: 1000 }]);
  await local.pool.query('CREATE EXTENSION pg_stat_statements');
}, 120_000);

test('a failed migration fails the invocation, and with it the deployment', async () => {
  const migrate = await local.lambda('migrate');
  await local.pool.query(`UPDATE lockstep.step SET checksum = 'edited' WHERE name LIKE '007%'`);
  await expect(migrate.invoke({})).rejects.toMatchObject({ code: 'LS_STEP_EDITED' });
  await local.pool.query(
    `UPDATE lockstep.step SET checksum = encode(sha256(convert_to(body, 'UTF8')), 'hex') WHERE name LIKE '007%'`,
  );
  await migrate.invoke({});
}, 60_000);

test('the listener captures, and its health check answers', async () => {
  listener = local.listener(livenessPort);
  await eventually(() => listener.output().includes('listener.capturing'), { timeoutMs: 30_000 });
  const probe = async (port: number) => {
    const run = start([join(local.imageFolder, 'functions/listener/probe.mjs')], local.imageFolder, {
      [environment.livenessPort]: String(port),
    });
    return await eventually(() => run.child.exitCode !== null && [run.child.exitCode]);
  };
  expect(await probe(livenessPort)).toEqual([0]);
  expect(await probe(await freePort())).toEqual([1]);
}, 60_000);

test('a second task waits as a hot standby and takes over', async () => {
  const first = listener;
  livenessPort = await freePort();
  listener = local.listener(livenessPort);
  await eventually(() => listener.output().includes('standby'), { timeoutMs: 30_000 });
  expect(listener.output()).not.toContain('listener.capturing');
  await first[Symbol.asyncDispose]();
  expect(first.child.exitCode).toBe(0);
  await eventually(() => listener.output().includes('listener.capturing'), { timeoutMs: 30_000 });
}, 90_000);

test('the apply function does the backfill and what is changed meanwhile', async () => {
  health = await local.lambda('health');
  await health.invoke({});
  apply = await local.lambda('apply');
  source = startEventSource({
    client: local.queue.sqs,
    queueUrl: local.queue.queueUrl,
    queueArn: local.queue.queueArn,
    concurrency: 1,
    handler: (event) => apply.invoke(event),
  });
  await local.pool.query(`UPDATE photos SET thumbnail_url = 'https://files.example.com/' || id
    WHERE id IN (SELECT id FROM photos LIMIT 500)`);
  await eventually(
    async () => (await local.pool.query('SELECT FROM lockstep.backfill WHERE finished_at IS NULL')).rowCount === 0,
    { timeoutMs: 60_000 },
  );
  await applied();
  expect(await differences(local.pool, await loadPhotomemory(local.pool))).toEqual({});
}, 180_000);

test('passwords are rotated in the middle, and no change is lost', async () => {
  for (const role of ['lockstep_listener', 'lockstep_applier', 'lockstep_monitor', 'lockstep_validator']) {
    const password = randomBytes(20).toString('hex');
    await local.pool.query(`ALTER ROLE ${role} PASSWORD '${password}'`);
    // A moment in which the role has the new password and the secret still the old one, as in a real rotation.
    await local.pool.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1', [role]);
    await local.pool.query(
      `UPDATE users SET display_name = 'rotated ' || $1 WHERE id IN (SELECT id FROM users LIMIT 20)`,
      [role],
    );
    local.storeSecret(role, password);
  }
  await local.pool.query(
    `UPDATE photos SET original_filename = 'rotated.jpg' WHERE id IN (SELECT id FROM photos LIMIT 500)`,
  );
  await applied();
  expect(await differences(local.pool, await loadPhotomemory(local.pool))).toEqual({});
  expect(local.secrets.reads.get(local.secretArn('lockstep_listener'))).toBeGreaterThan(1);
}, 120_000);

describe('validation', () => {
  beforeAll(async () => {
    validate = await local.lambda('validate');
  }, 60_000);

  test('finds that both sides agree, and keeps the report', async () => {
    expect(await validate.invoke({ task: 'counts' })).toMatchObject({ verdict: 'agrees', complete: true });
    expect(await validate.invoke({ task: 'rows' })).toMatchObject({ verdict: 'agrees', complete: true });
    const reports =
      local
        .resourcesOf('AWS::S3::Bucket')
        .find(([id]) => id.startsWith('Reports'))?.[0]
        .toLowerCase() ?? '';
    const { Body } = await local.s3.send(
      new GetObjectCommand({ Bucket: reports, Key: 'photomemory/rows/latest.json' }),
    );
    expect(JSON.parse((await Body?.transformToString()) ?? '')).toMatchObject({ agrees: true, complete: true });
  }, 120_000);

  test('does the upkeep with the rights of its role', async () => {
    expect(await validate.invoke({ task: 'upkeep' })).toMatchObject({ complete: true });
  }, 60_000);
});

describe('cutover and the way back, by hand', () => {
  let cutover: LambdaProcess;
  let rollbackSync: LambdaProcess;
  beforeAll(async () => {
    const migrate = await local.lambda('migrate');
    expect(await migrate.invoke({ arm: true })).toEqual({ armed: true });
    cutover = await local.lambda('cutover');
    rollbackSync = await local.lambda('rollback-sync');
    await mendTrial();
  }, 120_000);

  test('refuses while something is against it, and says what', async () => {
    const answer = await cutover.invoke<{ outcome: string }>({ dryRun: true, validatedWithinSeconds: 1 });
    expect(answer).toMatchObject({ outcome: 'refused', continue: false });
    expect(answer).toMatchObject({
      refusals: expect.arrayContaining([expect.objectContaining({ name: 'not-validated' })]),
    });
  }, 60_000);

  test('turns when everything agrees; what is written then arrives in legacy; and back', async () => {
    expect(await validate.invoke({ task: 'rows' })).toMatchObject({ verdict: 'agrees', complete: true });
    expect(await cutover.invoke({})).toMatchObject({ outcome: 'switched', phase: 'reverse' });
    expect(await cutover.invoke({})).toMatchObject({ outcome: 'already', phase: 'reverse' });
    await local.pool.query(`UPDATE media_files SET thumbnail_url = 'https://files.example.com/after'
      WHERE id IN (SELECT id FROM photos LIMIT 50)`);
    // All of it: the dirty data's storage totals had gone astray, and are only mended by deriving every user.
    expect(await rollbackSync.invoke({ all: true })).toMatchObject({ outcome: 'synced', continue: false });
    const arrived = await local.pool.query(
      "SELECT count(*)::int AS n FROM photos WHERE thumbnail_url = 'https://files.example.com/after'",
    );
    expect(arrived.rows).toEqual([{ n: 50 }]);
    expect(await validate.invoke({ task: 'rows' })).toMatchObject({ verdict: 'agrees', complete: true });
    expect(await cutover.invoke({ change: 'rollback' })).toMatchObject({ outcome: 'switched', phase: 'forward' });
  }, 180_000);
});

describe('metrics', () => {
  /** By service the names of metrics that a process has written in the embedded metric format. */
  const emitted = (running: Running): string[] =>
    running
      .output()
      .split('\n')
      .filter((line) => line.includes('"CloudWatchMetrics"'))
      .flatMap((line) => {
        const { _aws, service } = JSON.parse(line) as {
          service: string;
          _aws: { CloudWatchMetrics: { Namespace: string; Metrics: { Name: string }[] }[] };
        };
        return _aws.CloudWatchMetrics.flatMap(({ Namespace, Metrics }) =>
          Metrics.map(({ Name }) => `${Namespace} ${service} ${Name}`),
        );
      });

  /** Every metric of ours that an alarm or the dashboard of the template asks for. */
  const asked = (): Set<string> => {
    const alarms = local.resourcesOf('AWS::CloudWatch::Alarm').flatMap(([, { Properties }]) => {
      const { Namespace, MetricName, Dimensions } = Properties as {
        Namespace: string;
        MetricName: string;
        Dimensions: { Value: string }[];
      };
      return String(Namespace).startsWith('Lockstep/') ? [`${Namespace} ${Dimensions[0]?.Value} ${MetricName}`] : [];
    });
    const dashboard = JSON.stringify(local.resourcesOf('AWS::CloudWatch::Dashboard')[0]?.[1].Properties.DashboardBody);
    const widgets = [...dashboard.matchAll(/(Lockstep\/[a-z]+)\W+([\w.]+)\W+service\W+(\w+)/g)];
    return new Set([...alarms, ...widgets.map(([, namespace, name, service]) => `${namespace} ${service} ${name}`)]);
  };

  test('that alarms and the dashboard ask for are those that the artefacts publish, under the same name', async () => {
    await local.pool.query(`UPDATE users SET display_name = 'seen' WHERE id IN (SELECT id FROM users LIMIT 20)`);
    await applied();
    const first = await health.invoke<Record<string, number>>({});
    expect(first).toMatchObject({ status_published: 1, status_quarantined_scopes: expect.any(Number) });
    await local.pool.query(`UPDATE users SET display_name = 'seen again'`);
    await health.invoke({});
    // An operator derives everything again; while that runs its age and its end are known.
    await local.pool.query(
      `WITH run AS (INSERT INTO lockstep.backfill (id, direction, reason, paused)
                    VALUES (gen_random_uuid(), 'forward', 'test', true) RETURNING id)
       INSERT INTO lockstep.backfill_target (backfill_id, target, ordinal, scopes_done, scopes_estimated, started_at)
       SELECT id, 'media_files', 0, 10, 100, now() FROM run`,
    );
    expect(await health.invoke<Record<string, number>>({})).toMatchObject({
      status_backfill_age_ms: expect.any(Number),
      status_backfill_projected_ms: expect.any(Number),
      status_query_p95_ms: expect.any(Number),
      status_slot_lost_in_ms: expect.any(Number),
      status_validation_differs: 0,
      check_subscription_migration_difference: 0,
      check_media_migration_difference: 0,
    });
    await local.pool.query(`DELETE FROM lockstep.backfill WHERE reason = 'test'`);
    await listener[Symbol.asyncDispose]();
    const published = new Set([health, listener, apply, validate].flatMap(emitted));
    const unknown = [...asked()].filter((metric) => !published.has(metric));
    // Written only when the queue refuses something.
    expect(unknown).toEqual(['Lockstep/trial listener sqs_entries_retried']);
    expect(asked().size).toBeGreaterThan(18);
  }, 120_000);
});

test('it starts cold in a moment', () => {
  for (const { initMs } of [apply, validate, health]) expect(initMs).toBeLessThan(15_000);
});

/** What the new schema refuses of the trial's dirty data, mended or deleted as its owners would. */
async function mendTrial(): Promise<void> {
  await local.pool.query(mendTrialSql);
  await applied();
  const loaded = await loadPhotomemory(local.pool);
  await retryQuarantined({ pool: local.pool, loaded, telemetry: silent, deadlineMs: Date.now() + 60_000 });
  const left = await local.pool.query('SELECT target, scope, sqlstate, message, detail FROM lockstep.quarantine');
  expect(left.rows).toEqual([]);
}

async function applied(): Promise<void> {
  const outcome = await passBarrier({ db: local.pool, direction: 'forward', timeoutMs: 60_000 });
  expect(outcome).toMatchObject({ applied: true });
}
