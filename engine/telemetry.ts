/** What the engine tells about itself. `infra/telemetry` turns it into structured logs and metrics. */
export interface Telemetry {
  /** `fields` never holds row data, connection strings or secrets: names, counts, LSNs, SQLSTATEs and keys of messages only. */
  log(level: 'debug' | 'info' | 'warn' | 'error', event: string, fields?: Readonly<Record<string, unknown>>): void;
  /** One observation of a metric; the end of its name is its unit (`_ms`, `_bytes`), otherwise it is a count. */
  measure(metric: string, value: number): void;
}

export const silent: Telemetry = { log() {}, measure() {} };
