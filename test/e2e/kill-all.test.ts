import { randomInt } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { lockstep, type Running, start } from '../cli/lockstep.ts';
import { oracleDifferences } from '../oracle/oracle.ts';
import { rows } from '../sql/world.ts';
import { eventually } from '../support/eventually.ts';
import { killFamily } from '../support/family.ts';

const minute = 60_000;

/** kill -9 of everything at once: the command, its listener, its appliers, the server and each of its processes. */
async function killAll(dev: Running): Promise<void> {
  await killFamily(dev.process.pid ?? 0);
  await dev.ended();
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  // It is killed with everything else.
  client.on('error', () => {});
  await client.connect();
  return client;
}

interface Stand {
  run: string;
  target: string;
  cursor: string | null;
  finished: boolean;
}

/** Where the first start's backfill stands, target by target. */
const standOf = (client: pg.Client) =>
  rows<Stand>(
    client,
    `SELECT t.backfill_id AS run, target, cursor[1] AS cursor, t.finished_at IS NOT NULL AS finished
     FROM lockstep.backfill_target t JOIN lockstep.backfill b ON b.id = t.backfill_id
     WHERE b.reason = 'first start' ORDER BY ordinal`,
  );

const underWay = (stand: Stand[]) => stand.some(({ cursor }) => cursor !== null);

/** No target is further back than before, and it is the same run. */
function expectNotBehind(now: Stand[], before: Stand[]): void {
  expect(now.map(({ run, target }) => [run, target])).toEqual(before.map(({ run, target }) => [run, target]));
  for (const [index, { finished, cursor }] of before.entries()) {
    const later = now[index];
    expect(later?.finished || (!finished && String(later?.cursor ?? '') >= (cursor ?? '')), `${index}`).toBe(true);
  }
}

/** Writes users until everything is killed; answers those of which the server has said that they are committed. */
async function writeUntilKilled(client: pg.Client): Promise<string[]> {
  const committed: string[] = [];
  for (;;) {
    try {
      const { rows: written } = await client.query(
        "INSERT INTO users (email) VALUES ('kept@mail.example') RETURNING id",
      );
      committed.push(written[0].id);
    } catch {
      return committed;
    }
  }
}

/** Whom the traffic deletes is no one that was lost. In the same transaction, so it is exact whenever the server dies. */
const noteDeletedUsersSql = `
  CREATE TABLE IF NOT EXISTS public.deleted_users (id uuid);
  CREATE OR REPLACE FUNCTION public.note_deleted_user() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO public.deleted_users VALUES (OLD.id); RETURN NULL; END';
  CREATE OR REPLACE TRIGGER note_deleted_user AFTER DELETE ON public.users FOR EACH ROW EXECUTE FUNCTION public.note_deleted_user()`;

test('kill -9 of everything, at any moment, again and again: nothing is lost, and the backfill goes on where it was', {
  timeout: 12 * minute,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-killed-'));
  // Started by root, the server runs as another user, who must get through.
  chmodSync(directory, 0o711);
  const dev = (...more: string[]) => start(['dev', '--data', join(directory, 'dev'), '--users', '600', ...more]);
  const kept: string[] = [];
  try {
    // While it is being set up: the server initialized, the SQL applied, the legacy tables seeded.
    {
      await using first = dev('--traffic', '20');
      await delay(randomInt(500, 4_000));
      await killAll(first);
    }
    // While the backfill runs.
    let before: Stand[];
    {
      await using second = dev('--traffic', '20');
      const client = await connect((await second.event('ready', 4 * minute)).databaseUrl);
      before = await eventually(
        async () => {
          const stand = await standOf(client);
          return underWay(stand) && stand;
        },
        { timeoutMs: 2 * minute, intervalMs: 1 },
      );
      await killAll(second);
    }
    expect(before.some(({ finished }) => !finished)).toBe(true);
    // While traffic is captured and applied.
    for (const _ of [1, 2]) {
      await using next = dev('--traffic', '50');
      const client = await connect((await next.event('ready', 4 * minute)).databaseUrl);
      const now = await standOf(client);
      expectNotBehind(now, before);
      before = now;
      await client.query(noteDeletedUsersSql);
      const writing = writeUntilKilled(client);
      await delay(randomInt(200, 4_000));
      await killAll(next);
      kept.push(...(await writing));
    }
    {
      await using quiet = dev('--traffic', '0');
      const client = await connect((await quiet.event('ready', 4 * minute)).databaseUrl);
      expectNotBehind(await standOf(client), before);
      await eventually(async () => (await rows(client, 'SELECT FROM lockstep.in_flight')).length === 0, {
        timeoutMs: 4 * minute,
      });
      // A deleted row's scope may wait in quarantine for the next try; those that are at fault stay there.
      expect((await lockstep(['retry'], { LOCKSTEP_STATE_DIR: quiet.state })).code).not.toBe(2);
      expect(await oracleDifferences(client)).toEqual([]);
      expect(kept.length).toBeGreaterThan(0);
      expect(
        await rows(
          client,
          `SELECT id FROM unnest($1::uuid[]) id WHERE id NOT IN (SELECT user_id FROM user_subscriptions)
             AND id NOT IN (SELECT id FROM deleted_users)`,
          [kept],
        ),
      ).toEqual([]);
      await client.end();
      quiet.process.kill('SIGINT');
      expect([await quiet.ended(), quiet.stderr()]).toEqual([0, '']);
    }
    await using last = dev('--traffic', '50', '--duration', '3');
    expect([await last.ended(6 * minute), last.stderr()]).toEqual([0, '']);
    expect(await last.event('summary')).toMatchObject({ agrees: true, reasons: [] });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
