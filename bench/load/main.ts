import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { readStatus } from '../../engine/status/status.ts';
import { startPostgres } from '../../infra/local/postgres.ts';
import { describeMachine } from '../machine.ts';
import { pretty } from '../numbers.ts';
import { createPhotomemory, fillLegacy, insertSelect, openPool } from '../rig/data.ts';
import { type Lockstep, prepareStream, startLockstep } from '../rig/lockstep.ts';
import { hasRecovered, isFlat, type Phase, rateOf, type Sample } from './phase.ts';
import { loadText } from './report.ts';
import { residentBytes } from './resident.ts';
import { startTraffic, type Traffic } from './traffic.ts';

/*
 * npm run load -- [--minutes 30] [--above 10] [--photos 200000] [--rate N] [--record]
 *
 * How the machine bears the most that it can bear, for long: see LOAD.md. Needs a quiet machine.
 */
const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    above: { type: 'string', default: '10' },
    photos: { type: 'string', default: '200000' },
    rate: { type: 'string' },
    record: { type: 'boolean', default: false },
  },
});
const minutes = Number(options.minutes);
const above = Number(options.above);
const photos = Number(options.photos);
/** The search for the rate takes steps of a length that the run allows. */
const stepSeconds = Math.max(9, Math.min(30, Math.round(minutes * 3)));
const database = 'load';
const note = (text: string) => void process.stderr.write(`${text}\n`);

async function sample(pool: pg.Pool, traffic: Traffic): Promise<Sample> {
  const { status } = await readStatus(pool, 'forward');
  return {
    atMs: performance.now(),
    committed: traffic.committed,
    lagSeconds: status.lag.seconds,
    keptBytes: status.slot?.retainedBytes ?? 0,
    messages: status.inFlight.messages,
    keys: status.inFlight.keys,
    resident: await residentBytes(),
  };
}

interface Rig {
  readonly pool: pg.Pool;
  readonly traffic: Traffic;
  readonly lockstep: Lockstep;
}

/** Runs at one rate, with a sample a second; at most so many seconds, and no longer than until `enough`. */
async function during(
  { pool, traffic, lockstep }: Rig,
  name: string,
  perSecond: number,
  seconds: number,
  enough: (samples: readonly Sample[]) => boolean = () => false,
): Promise<Phase> {
  traffic.perSecond = perSecond;
  const samples: Sample[] = [];
  const startedMs = performance.now();
  while (samples.length < seconds && !enough(samples)) {
    await Promise.race([delay(Math.max(0, startedMs + samples.length * 1_000 - performance.now())), lockstep.broken]);
    traffic.check();
    samples.push(await sample(pool, traffic));
  }
  const { lagSeconds = 0, keys = 0 } = samples.at(-1) ?? {};
  note(
    `${name}: ${pretty(perSecond)} changes/s, ${pretty(rateOf(samples))} committed, lag ${pretty(lagSeconds)} s, ${keys} keys in flight`,
  );
  return { name, perSecond, samples };
}

const firstRate = 1_000;
const steeper = 1.5;
const gentler = 1.1;

/** The highest rate that was seen to keep the lag flat: up by halves until it grows, then by tenths. */
async function highestFlatRate(rig: Rig): Promise<number> {
  let highest = firstRate / steeper;
  for (const factor of [steeper, gentler]) {
    for (;;) {
      const rate = Math.round(highest * factor);
      const { samples } = await during(rig, 'search', rate, stepSeconds);
      await rig.traffic.rest();
      await rig.lockstep.settle();
      // What the application itself cannot write is no load.
      if (!isFlat(samples) || rateOf(samples) < 0.95 * rate) break;
      highest = rate;
    }
  }
  if (highest < firstRate) throw new Error(`the lag grows at ${firstRate} changes a second already`);
  return highest;
}

const startedAt = new Date().toISOString();
await using server = await startPostgres({ settings: { max_wal_size: '4GB' } });
await createPhotomemory(server, database);
await using parts = new AsyncDisposableStack();
const pool = openPool(server, database, 4);
parts.defer(() => pool.end());
note(`writing ${photos} photos`);
await fillLegacy(pool, photos);
await insertSelect(pool, ['user_subscriptions', 'media_files', 'project_media']);
await pool.query('VACUUM ANALYZE');
await prepareStream(pool);
const lockstep = parts.use(await startLockstep({ server, database, pool }));
// A new slot asks for a backfill of everything; the load begins after it.
await lockstep.settle();
const traffic = parts.use(startTraffic(server.url(database), photos));
const rig = { pool, traffic, lockstep };
if (options.rate !== undefined && !(Number(options.rate) > 0)) throw new RangeError('--rate must be a number above 0');
/** Given, it need not be searched for. */
const rate = options.rate === undefined ? await highestFlatRate(rig) : Number(options.rate);
const phases = [
  await during(rig, 'sustained', rate, Math.max(3, Math.round(minutes * 60))),
  await during(rig, 'above', Math.round((rate * 4) / 3), Math.max(3, Math.round(above * 60))),
  await during(rig, 'recovery', Math.round(rate / 2), Math.max(3, Math.round(above * 60)), hasRecovered),
];
// What commits after the barrier is not waited for.
await traffic.rest();
traffic.check();
await lockstep.settle();
const command = `npm run load -- --minutes ${minutes} --above ${above} --photos ${photos}${options.rate ? ` --rate ${options.rate}` : ''}${options.record ? ' --record' : ''}`;
const searched = options.rate === undefined;
const text = loadText({ command, startedAt, machine: await describeMachine(), photos, searched, phases });
process.stdout.write(text);
const { rowCount } = await pool.query(
  'SELECT FROM photos p LEFT JOIN media_files f USING (id) WHERE f.file_size_bytes IS DISTINCT FROM p.file_size_bytes',
);
if (rowCount !== 0) throw new Error(`${rowCount} photos are not what they should be`);
// It says that every row was compared.
if (options.record) await writeFile(new URL('../LOAD.md', import.meta.url), text);
