import { setTimeout as delay } from 'node:timers/promises';
import type { Migration } from '../../engine/migration/contract.ts';
import type { DevTraffic } from '../../engine/migration/dev.ts';
import { loadDirection } from '../../engine/migration/load.ts';
import { shownDirection } from '../../engine/status/phase.ts';
import { readStatus } from '../../engine/status/status.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import { validate } from '../../engine/validate/validate.ts';
import { passBarrier } from '../../engine/wait/barrier.ts';
import { openDatabase } from '../../infra/postgres/database.ts';
import type { Answer, Context } from '../command.ts';
import { removeMachine, writeMachine } from '../machine-file.ts';
import { directionOf, loadMigration } from '../migration-folder.ts';
import { createLiveText, type LiveText } from '../text/live.ts';
import { loadHooks } from './hooks.ts';
import { liveLines } from './live-lines.ts';
import { type Machine, startMachine } from './machine.ts';
import { summarize, summaryText } from './summary.ts';
import { createTally, type Tally } from './tally.ts';

export interface DevOptions {
  readonly pgPort?: number;
  readonly queuePort?: number;
  readonly dashboardPort?: number;
  readonly users: number;
  /** Legacy transactions per second. */
  readonly traffic: number;
  /** Milliseconds of traffic; then drain, validate and end. Default: until stopped. */
  readonly duration?: number;
  readonly data?: string;
}

/** Everything of one `lockstep dev`, once it is up. */
interface Session {
  readonly context: Context;
  readonly machine: Machine;
  readonly migration: Migration;
  readonly tally: Tally;
  readonly traffic: DevTraffic | undefined;
  readonly live: LiveText;
}

/** How often a terminal is drawn anew; programs are told as often. */
const showEveryMs = 1000;
const longestOutageMs = 60_000;
/** How long what is in flight may take to be applied once traffic has stopped; a backfill of many rows is part of it. */
const drainMs = 60 * 60_000;

/** Runs the whole machine until it is stopped, or for `duration`. Everything it started has ended when it returns. */
export async function runDev(context: Context, options: DevOptions): Promise<Answer> {
  const { output, folder, signal } = context;
  const tally = createTally();
  const live = createLiveText(output);
  const telemetry: Telemetry = {
    log(level, event, fields) {
      live.clear();
      context.telemetry.log(level, event, fields);
    },
    measure: (metric, value) => tally.add(metric, value),
  };
  await using parts = new AsyncDisposableStack();
  const migration = await loadMigration(folder);
  const hooks = await loadHooks(folder);
  const onStep = (text: string) => output.say(`  ${text} …`);
  const machine = await startMachine({ ...options, folder, migration, hooks, telemetry, onStep }, parts);
  await announce(machine, telemetry, parts);
  const { databaseUrl, queue } = machine;
  const dashboardUrl = machine.dashboard.url;
  const { queueUrl, endpoint } = queue;
  output.print(
    { event: 'ready', databaseUrl, queueUrl, endpoint, dashboardUrl },
    `ready\n  database   ${databaseUrl}\n  queue      ${queueUrl}\n  dashboard  ${dashboardUrl}`,
  );
  const users = parts.use(
    await openDatabase({ applicationName: `${migration.name} users`, env: machineEnv(machine), telemetry, max: 8 }),
  );
  const traffic =
    options.traffic > 0
      ? hooks.traffic?.({
          pool: users.pool,
          transactionsPerSecond: options.traffic,
          seed: Date.now() % 2 ** 31,
          onError: (error) => telemetry.log('warn', 'traffic failed', { error }),
        })
      : undefined;
  parts.defer(async () => void (await traffic?.stop()));
  const session: Session = { context, machine, migration, tally, traffic, live };
  const over = new AbortController();
  try {
    return await Promise.race([
      machine.broken,
      follow(session, AbortSignal.any([signal, over.signal]), options.duration),
    ]);
  } finally {
    over.abort();
  }
}

/** In a checkout that this user cannot write to, commands elsewhere need the settings by hand. */
async function announce({ settings }: Machine, telemetry: Telemetry, parts: AsyncDisposableStack): Promise<void> {
  parts.defer(removeMachine);
  try {
    await writeMachine(settings);
  } catch (error) {
    telemetry.log('warn', 'other commands of this checkout will not find this machine', { error });
  }
}

const machineEnv = ({ settings }: Machine): NodeJS.ProcessEnv => ({ ...settings });

/** Shows what goes on until the end, then says how it went. */
async function follow(session: Session, signal: AbortSignal, durationMs: number | undefined): Promise<Answer> {
  const { context, live, traffic, machine } = session;
  const watching = new AbortController();
  const shown = watch(session, watching.signal);
  try {
    const over = delay(durationMs ?? 2 ** 31 - 1, undefined, { signal }).catch(() => {});
    await Promise.race([over, shown]);
    await traffic?.stop();
    if (signal.aborted || durationMs === undefined) return 0;
    const { pool } = machine.database;
    await passBarrier({ db: pool, direction: await shownDirection(pool), timeoutMs: drainMs, signal });
  } finally {
    watching.abort();
    await shown;
    live.end();
  }
  if (signal.aborted) return 1;
  return await conclude(session, { ...context, signal });
}

/** @throws what the database, or the way to it, has said last, when it has been away for too long. */
async function watch({ context, machine, tally, traffic, live }: Session, signal: AbortSignal): Promise<void> {
  let awaySinceMs: number | undefined;
  while (!signal.aborted) {
    const { pool } = machine.database;
    try {
      const { status } = await readStatus(pool, await shownDirection(pool));
      const progress = progressOf(status, tally, traffic);
      live.show({ event: 'progress', ...progress }, liveLines(status, tally, traffic?.counts));
      awaySinceMs = undefined;
    } catch (error) {
      if (signal.aborted) return;
      // A server that crashes recovers, and everything goes on; one that does not come back has no use.
      if (awaySinceMs === undefined) context.telemetry.log('error', 'the database does not answer', { error });
      awaySinceMs ??= performance.now();
      if (performance.now() - awaySinceMs > longestOutageMs) throw error;
    }
    await delay(showEveryMs, undefined, { signal }).catch(() => {});
  }
}

function progressOf(
  status: Awaited<ReturnType<typeof readStatus>>['status'],
  tally: Tally,
  traffic: DevTraffic | undefined,
) {
  return {
    lagSeconds: status.lag.seconds,
    inFlight: status.inFlight.messages,
    backfill: status.backfill,
    legacy: traffic?.counts ?? null,
    messagesSent: tally.sum('sqs_messages_sent'),
  };
}

async function conclude(
  { machine, migration, tally, traffic }: Session,
  { output, signal, telemetry }: Context,
): Promise<Answer> {
  const { pool } = machine.database;
  const direction = await shownDirection(pool);
  const loaded = await loadDirection(pool, direction, directionOf(migration, direction));
  const report = await validate({ pool, loaded, telemetry, signal });
  const { status } = await readStatus(pool, direction);
  const summary = summarize(report, status, tally, traffic?.counts);
  output.print({ event: 'summary', ...summary }, summaryText(summary));
  return report.agrees ? 0 : 1;
}
