import type { Telemetry } from '../engine/telemetry.ts';
import { environment } from '../infra/contract.ts';
import { createTerminalTelemetry } from '../infra/telemetry/terminal.ts';

export interface LogSettings {
  /** Set for what runs until it is stopped: it logs what it does, and with --json its metrics. */
  readonly service?: string;
  /** The least that is logged when nothing else is asked for. */
  readonly logLevel?: 'error';
}

const levels = ['debug', 'info', 'warn', 'error'] as const;

/**
 * Where a command's own log goes: lines on stderr, or, for a service with --json, structured logs and metrics on stdout.
 * LOCKSTEP_LOG_LEVEL sets the least that is shown; without it a command is silent below `warn`, a service below `info`.
 */
export async function createTelemetry(
  json: boolean,
  { service, logLevel }: LogSettings,
): Promise<Telemetry & Disposable> {
  if (json && service !== undefined) {
    const { createAwsTelemetry } = await import('../infra/telemetry/aws.ts');
    return createAwsTelemetry({ service, flushEveryMs: 10_000 });
  }
  const wanted = process.env[environment.logLevel]?.toLowerCase();
  const level = levels.find((known) => known === wanted) ?? logLevel ?? (service === undefined ? 'warn' : 'info');
  return { ...createTerminalTelemetry({ stream: process.stderr, level }), [Symbol.dispose]() {} };
}
