import type { Writable } from 'node:stream';
import type { Telemetry } from '../../engine/telemetry.ts';

const levels = ['debug', 'info', 'warn', 'error'] as const;
type Level = (typeof levels)[number];

export interface TerminalTelemetryOptions {
  readonly stream: Pick<Writable, 'write'>;
  /** The least that is shown. Default `info`. */
  readonly level?: Level;
  readonly now?: () => Date;
}

/** Lines for people: `14:03:07 warn  sqs.entries_refused entries=3 code=InternalError`. Metrics are not shown. */
export function createTerminalTelemetry(options: TerminalTelemetryOptions): Telemetry {
  const least = levels.indexOf(options.level ?? 'info');
  const now = options.now ?? (() => new Date());
  return {
    log(level, event, fields = {}) {
      if (levels.indexOf(level) < least) return;
      const parts = Object.entries(fields).map(([name, value]) => ` ${name}=${printed(value)}`);
      options.stream.write(`${now().toISOString().slice(11, 19)} ${level.padEnd(5)} ${event}${parts.join('')}\n`);
    },
    measure() {},
  };
}

function printed(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  if (value instanceof Error) return printed(value.message);
  if (typeof value === 'object' && value !== null) {
    return JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part));
  }
  return String(value);
}
