/** What pg-logical-replication's service does to data, and that Lockstep's listener does not. */
import type { Pgoutput } from 'pg-logical-replication';
import { expect, test } from 'vitest';
import { parseLsn } from '../../engine/lsn.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createSlots, peek, positionOf, readWithLibrary, readWithOurs, twoAtOnce } from './library.ts';
import { captured, confirmed, createPhotos, engineSchema, Inbox, startListener } from './support.ts';

const publication = 'lockstep_forward';
const manual = { acknowledge: { auto: false, timeoutSeconds: 0 } };

async function prepare(database: TestDatabase) {
  const migration = await createPhotos(database.pool);
  const library = `${database.name}_library`;
  const ours = `${database.name}_ours`;
  await createSlots(database, library, ours);
  return { migration, library, ours };
}

const begins = (messages: readonly Pgoutput.Message[]) => messages.filter((message) => message.tag === 'begin');
const commits = (messages: readonly Pgoutput.Message[]) => messages.filter((message) => message.tag === 'commit');

/** Two transactions, the COMMIT record of the second beginning where that of the first ends. */
async function adjacentCommits(
  database: TestDatabase,
  slots: string[],
): Promise<{ firstEnd: string; ids: [string, string] }> {
  for (let id = 1; ; id += 2) {
    await twoAtOnce(database, `INSERT INTO photos VALUES (${id})`, `INSERT INTO photos VALUES (${id + 1})`);
    const messages = await peek(database, slots[0] ?? '', publication);
    const firstEnd = commits(messages)[0]?.commitEndLsn ?? '';
    if (begins(messages)[1]?.commitLsn === firstEnd) {
      const [a, b] = messages.flatMap((message) => (message.tag === 'insert' ? [String(message.new.id)] : []));
      return { firstEnd, ids: [a ?? '', b ?? ''] };
    }
    // Another test's record came in between.
    for (const slot of slots)
      await database.pool.query('SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())', [slot]);
  }
}

test('1: acknowledging a commit does not skip the transaction whose commit begins where it ends', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const { library, ours } = await prepare(database);
  const { firstEnd, ids } = await adjacentCommits(database, [library, ours]);

  {
    await using reader = readWithLibrary(database, library, publication, manual, {}, async ({ lsn, message }) => {
      if (message.tag === 'commit' && message.commitEndLsn === firstEnd) await reader.service.acknowledge(lsn);
    });
    await eventually(() => reader.inserted().length === 2);
    await eventually(async () => (await positionOf(database, library)) > parseLsn(firstEnd));
  }
  {
    await using reader = await readWithOurs(database, ours, publication);
    await eventually(() => reader.inserted().length === 2);
    reader.stream.confirm(parseLsn(firstEnd));
  }
  expect(await positionOf(database, ours)).toBe(parseLsn(firstEnd));

  await database.pool.query('INSERT INTO photos VALUES (1000)');
  await using theirs = readWithLibrary(database, library, publication, manual);
  await using again = await readWithOurs(database, ours, publication);
  await eventually(() => theirs.inserted().includes('1000') && again.inserted().includes('1000'));
  expect(theirs.inserted()).toEqual(['1000']);
  expect(again.inserted()).toEqual([ids[1], '1000']);
});

test('2: what was only received is not confirmed, however often the status is sent', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const { migration, library, ours } = await prepare(database);
  const inbox = new Inbox(migration);
  await using _listener = await startListener(database, migration, inbox, { limits: { statusEveryMs: 20 } });
  await captured(database);
  inbox.close();
  await database.pool.query('INSERT INTO photos VALUES (1)');
  const [insert] = begins(await peek(database, ours, publication));
  const commit = parseLsn(insert?.commitLsn ?? '');

  // auto: false means that nothing is acknowledged, or so it says.
  await using theirs = readWithLibrary(database, library, publication, {
    acknowledge: { auto: false, timeoutSeconds: 1 },
  });
  await eventually(() => theirs.inserted().length === 1);
  await eventually(async () => (await positionOf(database, library)) > commit);

  const replies = new Set<string>();
  await eventually(async () => {
    const { rows } = await database.pool.query(
      `SELECT r.reply_time::text FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid
       WHERE s.database = current_database() AND r.application_name = 'lockstep listener'`,
    );
    return replies.add(rows[0].reply_time).size > 5;
  });
  expect(await confirmed(database)).toBeLessThanOrEqual(commit);
  inbox.open();
  await captured(database);
  expect(inbox.keys()).toEqual(new Set(['1']));
});

test('what cannot be read ends the stream with its cause, and is still there for the next one', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const { ours } = await prepare(database);
  await database.pool.query('INSERT INTO photos VALUES (1)');
  const cause = new TypeError('no message of pgoutput');
  {
    await using reader = await readWithOurs(database, ours, publication, {
      onData() {
        throw cause;
      },
    });
    await eventually(() => reader.failures.length > 0);
    expect(reader.failures).toEqual([expect.objectContaining({ code: 'LS_STREAM_UNREADABLE', cause })]);
  }
  await using again = await readWithOurs(database, ours, publication);
  await eventually(() => again.inserted().length === 1);
  expect(again.inserted()).toEqual(['1']);
});

test('3: a handler that fails does not lose the change it failed on', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const { migration, library } = await prepare(database);
  const failing = { remaining: 1 };
  {
    await using theirs = readWithLibrary(
      database,
      library,
      publication,
      { acknowledge: { auto: true, timeoutSeconds: 0 }, flowControl: { enabled: true } },
      {},
      ({ message }) => {
        if (message.tag === 'insert' && String(message.new.id) === '1') throw new Error('the queue refused it');
      },
    );
    await database.pool.query('INSERT INTO photos VALUES (1)');
    const { rows } = await database.pool.query('SELECT pg_current_wal_lsn()::text AS lsn');
    await database.pool.query('INSERT INTO photos VALUES (2)');
    await eventually(() => theirs.inserted().length === 2);
    await eventually(async () => (await positionOf(database, library)) >= parseLsn(rows[0].lsn));
    expect(theirs.errors).toHaveLength(1);
  }
  await database.pool.query('INSERT INTO photos VALUES (3)');
  await using theirs = readWithLibrary(database, library, publication, manual);
  await eventually(() => theirs.inserted().includes('3'));
  expect(theirs.inserted()).not.toContain('1');

  const inbox = new Inbox(migration);
  const refusing = {
    publish: async (...[messages, signal]: Parameters<Inbox['publish']>) => {
      if (messages.some(({ body }) => body.includes('"photos"')) && failing.remaining-- > 0)
        throw new Error('the queue refused it');
      await inbox.publish(messages, signal);
    },
  };
  const first = await startListener(database, migration, refusing);
  await database.pool.query('UPDATE photos SET title = $$ $$ WHERE id = 1');
  await expect(first.ended).rejects.toThrow('the queue refused it');
  await database.pool.query('UPDATE photos SET title = $$ $$ WHERE id = 2');
  await using _second = await startListener(database, migration, refusing);
  await captured(database);
  expect(inbox.keys()).toEqual(new Set(['1', '2']));
});

test('4: the server gets its answers while the queue stands still', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const { migration, library } = await prepare(database);
  // Long enough that a busy machine's timers are not mistaken for silence.
  const impatient = { options: '-c wal_sender_timeout=4s' };
  await using theirs = readWithLibrary(database, library, publication, manual, impatient);

  const inbox = new Inbox(migration);
  await using listener = await startListener(database, migration, inbox, {
    replication: { connectionString: database.url, ...impatient },
    limits: { keysPerRound: 1 },
  });
  await captured(database);
  inbox.close();
  // One round waits for the queue, the next is full, the socket is paused.
  await database.pool.query('INSERT INTO photos VALUES (1)');
  await database.pool.query('INSERT INTO photos SELECT generate_series(2, 50000)');
  await eventually(() => theirs.errors.length > 0);
  const patience = await database.pool.query("SELECT clock_timestamp() + interval '6 seconds' AS until");
  await eventually(
    async () =>
      (await database.pool.query('SELECT clock_timestamp() > $1 AS over', [patience.rows[0].until])).rows[0].over,
  );
  inbox.open();
  await captured(database);
  await listener.stop();
  expect(inbox.keys().size).toBe(50_000);
});

test('5: the LSNs of events are no order; commits are', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const { library, ours } = await prepare(database);
  const early = await database.client();
  await early.query('BEGIN');
  await early.query('INSERT INTO photos VALUES (1)');
  await database.pool.query('INSERT INTO photos VALUES (2)');
  await early.query('COMMIT');

  await using theirs = readWithLibrary(database, library, publication, manual);
  await eventually(() => commits(theirs.events.map(({ message }) => message)).length === 2);
  const lsns = theirs.events.map(({ lsn }) => parseLsn(lsn));
  expect(lsns).not.toEqual([...lsns].sort((a, b) => (a < b ? -1 : 1)));
  expect(theirs.events.some(({ lsn }) => parseLsn(lsn) === 0n)).toBe(true);

  {
    await using reader = await readWithOurs(database, ours, publication);
    await eventually(() => reader.inserted().length === 2);
    expect(reader.inserted()).toEqual(['2', '1']);
    const [end] = commits(reader.events.map(({ message }) => message)).map(({ commitEndLsn }) =>
      parseLsn(commitEndLsn ?? ''),
    );
    reader.stream.confirm(end ?? 0n);
    // Whoever confirms by the LSN of the events goes back here, or skips.
    expect(() => reader.stream.confirm((end ?? 0n) - 1n)).toThrow(
      expect.objectContaining({
        code: 'LS_POSITION_BACKWARDS',
        message: expect.stringContaining('cannot go back'),
      }),
    );
  }
  await using again = await readWithOurs(database, ours, publication);
  await eventually(() => again.inserted().length === 1);
  expect(again.inserted()).toEqual(['1']);
});

test('6: names with quotes, commas and capitals work', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const { library, ours } = await prepare(database);
  const odd = `It's "odd", isn't it`;
  await database.pool.query(`CREATE PUBLICATION "It's ""odd"", isn't it" FOR TABLE photos`);
  for (const slot of [library, ours])
    await database.pool.query('SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())', [slot]);
  await database.pool.query('INSERT INTO photos VALUES (1)');
  await using theirs = readWithLibrary(database, library, odd, manual);
  await using reader = await readWithOurs(database, ours, odd);
  await eventually(() => theirs.errors.length > 0 && reader.inserted().length === 1);
  expect(theirs.errors[0]).toMatchObject({ code: '42601' });
});

test('7: keys keep every digit', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const { library, ours } = await prepare(database);
  await database.pool.query('CREATE TABLE moments (id timestamptz PRIMARY KEY)');
  await database.pool.query('ALTER PUBLICATION lockstep_forward ADD TABLE moments');
  for (const slot of [library, ours])
    await database.pool.query('SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())', [slot]);
  await database.pool.query("INSERT INTO moments VALUES ('2024-03-10 01:02:03.123456+00')");
  await using theirs = readWithLibrary(database, library, publication, manual);
  await using reader = await readWithOurs(database, ours, publication);
  await eventually(() => theirs.events.length > 3 && reader.inserted().length === 1);
  const theirKey = theirs.events
    .map(({ message }) => (message.tag === 'insert' ? message.new.id : undefined))
    .find(Boolean);
  expect(theirKey).toEqual(new Date('2024-03-10T01:02:03.123Z'));
  expect(reader.inserted()).toEqual(['2024-03-10 01:02:03.123456+00']);
});
