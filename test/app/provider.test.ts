import { ErrorCode, OpenFeature, ProviderEvents } from '@openfeature/server-sdk';
import pg from 'pg';
import { expect, test } from 'vitest';
import { SystemSettingsProvider } from '../../app/flags/provider.ts';
import { openSettings } from '../../app/flags/settings.ts';
import { openSchemas } from '../../app/index.ts';
import { serverUrl, testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { photomemory } from '../support/photomemory.ts';

const flag = 'use_unified_media';

async function evaluated() {
  await using started = new AsyncDisposableStack();
  const database = started.use(await testDatabase({ template: photomemory }));
  const pool = new pg.Pool({ connectionString: database.url, max: 4 });
  pool.on('error', () => undefined);
  started.defer(() => pool.end());
  const settings = started.use(openSettings({ pool, observe: () => undefined, refreshMs: 50, maxAgeMs: 100 }));
  const provider = new SystemSettingsProvider(settings);
  await OpenFeature.setProviderAndWait(database.name, provider);
  started.defer(() => provider.onClose());
  const parts = started.move();
  return {
    database,
    client: OpenFeature.getClient(database.name),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

test('OpenFeature tells value and reason, and of changes', async () => {
  await using world = await evaluated();
  const { client, database } = world;
  expect(await client.getBooleanDetails(flag, false)).toMatchObject({ value: false, reason: 'DEFAULT' });
  const changes: unknown[] = [];
  client.addHandler(ProviderEvents.ConfigurationChanged, (details) => void changes.push(details?.flagsChanged));
  const set = (value: unknown) =>
    database.pool.query(
      'INSERT INTO system_settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      [flag, JSON.stringify(value)],
    );
  await set({ state: 'percentage', percentage: 100 });
  await eventually(() => client.getBooleanValue(flag, false, { targetingKey: 'someone' }));
  expect(await client.getBooleanDetails(flag, false, { targetingKey: 'someone' })).toMatchObject({ reason: 'SPLIT' });
  expect(await client.getBooleanValue(flag, false)).toBe(false);
  expect(changes.at(-1)).toEqual([flag]);
  await set(['on']);
  await eventually(async () => (await client.getBooleanDetails(flag, false)).errorCode === ErrorCode.PARSE_ERROR);
  expect(await client.getBooleanValue(flag, false)).toBe(false);
  expect(await client.getBooleanDetails('use_what', true)).toMatchObject({
    value: true,
    errorCode: ErrorCode.FLAG_NOT_FOUND,
  });
  expect(await client.getStringDetails(flag, 'x')).toMatchObject({ value: 'x', errorCode: ErrorCode.TYPE_MISMATCH });
});

test('while the database is away a flag has its default, and comes back by itself', async () => {
  await using world = await evaluated();
  const { client, database } = world;
  await database.pool.query("INSERT INTO system_settings (key, value) VALUES ($1, 'true')", [flag]);
  await eventually(() => client.getBooleanValue(flag, false));
  const admin = new pg.Client({ connectionString: serverUrl() });
  await admin.connect();
  try {
    await admin.query(`ALTER DATABASE ${database.name} ALLOW_CONNECTIONS false`);
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [database.name]);
    await eventually(async () => !(await client.getBooleanValue(flag, false)));
    expect(await client.getBooleanDetails(flag, false)).toMatchObject({
      reason: 'ERROR',
      errorCode: ErrorCode.GENERAL,
    });
  } finally {
    await admin.query(`ALTER DATABASE ${database.name} ALLOW_CONNECTIONS true`);
    await admin.end();
  }
  await eventually(() => client.getBooleanValue(flag, false));
});

test('a process that starts while the database is away starts, and says why it cannot answer', async () => {
  const pool = new pg.Pool({ connectionString: 'postgresql://nobody@127.0.0.1:1/nowhere', max: 2 });
  try {
    await using schemas = await openSchemas({ pool });
    await expect(schemas.forUser('u').media.getMediaFile('x')).rejects.toMatchObject({ code: 'LS_APP_SETTINGS' });
  } finally {
    await pool.end();
  }
});
