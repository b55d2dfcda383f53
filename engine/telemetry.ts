/** What every line has already, and what would be dropped from it under these names. */
type Reserved = 'level' | 'message' | 'sampling_rate' | 'service' | 'timestamp';

export type LogFields = Readonly<Record<string, unknown>> & { readonly [name in Reserved]?: never };

/** What the engine tells about itself. `infra/telemetry` turns it into structured logs and metrics. */
export interface Telemetry {
  /** `fields` never holds row data, connection strings or secrets: names, counts, LSNs, SQLSTATEs and keys of messages only. */
  log(level: 'debug' | 'info' | 'warn' | 'error', event: string, fields?: LogFields): void;
  /** One observation of a metric; the end of its name is its unit (`_ms`, `_bytes`), otherwise it is a count. */
  measure(metric: string, value: number): void;
}

export const silent: Telemetry = { log() {}, measure() {} };
