import type { Telemetry } from '../../engine/telemetry.ts';
import { describeFailure } from '../failure.ts';
import type { WorkerMessage } from './worker-messages.ts';

export interface WorkerContext {
  readonly folder: string;
  readonly telemetry: Telemetry;
  /** Aborted when the parent says so, or is gone. */
  readonly signal: AbortSignal;
  ready(): void;
}

const sendEveryMs = 100;
/** How long a worker whose parent is gone may take to end what it has in hand. */
const orphanMs = 10_000;

/**
 * Runs in a process that `startWorker` has started, and reports to it. Ctrl-C in a terminal reaches every process there;
 * a worker leaves it to its parent to say when to stop.
 */
export async function serve(run: (context: WorkerContext) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  process.on('SIGINT', () => {});
  process.on('message', () => stop.abort());
  process.on('disconnect', () => {
    stop.abort();
    setTimeout(() => process.exit(2), orphanMs).unref();
  });
  const reporter = createReporter();
  try {
    await run({
      folder: process.argv[2] ?? '',
      telemetry: reporter.telemetry,
      signal: stop.signal,
      ready: () => send({ kind: 'ready' }),
    });
  } catch (error) {
    send({ kind: 'failed', failure: describeFailure(error) });
    process.exitCode = 2;
  } finally {
    reporter.end();
    if (process.connected) process.disconnect();
  }
}

/** Measures are sent together, ten times a second: there are thousands. */
function createReporter(): { readonly telemetry: Telemetry; end(): void } {
  let values: [string, number][] = [];
  const flush = () => {
    if (values.length > 0) send({ kind: 'measures', values });
    values = [];
  };
  const timer = setInterval(flush, sendEveryMs);
  const telemetry: Telemetry = {
    log: (level, event, fields = {}) => send({ kind: 'log', level, event, fields: plain(fields) }),
    measure: (metric, value) => void values.push([metric, value]),
  };
  const end = () => {
    clearInterval(timer);
    flush();
  };
  return { telemetry, end };
}

/** The channel carries JSON, which knows no bigint. */
function plain(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return JSON.parse(JSON.stringify(fields, (_, value) => (typeof value === 'bigint' ? String(value) : value)));
}

function send(message: WorkerMessage): void {
  if (process.connected) process.send?.(message);
}
