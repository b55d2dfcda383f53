import { Logger } from '@aws-lambda-powertools/logger';
import type { LogLevel } from '@aws-lambda-powertools/logger/types';
import { Metrics } from '@aws-lambda-powertools/metrics';
import type { Telemetry } from '../../engine/telemetry.ts';
import { environment, metricNamespace, metricUnit } from '../contract.ts';

export interface AwsTelemetry extends Telemetry, Disposable {
  /** Writes the metrics collected so far; a function does so at the end of each invocation. */
  flush(): void;
}

export interface AwsTelemetryOptions {
  /** Which part of Lockstep speaks: `listener`, `apply`… A field of each log line and a dimension of each metric. */
  readonly service: string;
  /** Flushes by itself, for a process that runs on; a function leaves it out. */
  readonly flushEveryMs?: number;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Structured logs (one JSON object a line) and metrics in the embedded metric format, both on stdout, from where
 * CloudWatch takes them: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format.html
 */
export function createAwsTelemetry({ service, flushEveryMs, env = process.env }: AwsTelemetryOptions): AwsTelemetry {
  const logger = new Logger({ serviceName: service, logLevel: (env[environment.logLevel] ?? 'INFO') as LogLevel });
  const metrics = new Metrics({
    namespace: env[environment.metricNamespace] ?? metricNamespace,
    serviceName: service,
  });
  // Summed up until they are written: a busy applier counts thousands a second, and CloudWatch would add them up anyway.
  const counts = new Map<string, number>();
  const flush = () => {
    for (const [name, count] of counts) metrics.addMetric(name, 'Count', count);
    counts.clear();
    if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics();
  };
  const timer = flushEveryMs === undefined ? undefined : setInterval(flush, flushEveryMs).unref();
  return {
    log: (level, event, fields = {}) => logger[level](event, { ...fields }),
    measure(name, value) {
      const unit = metricUnit(name);
      if (unit === 'Count') counts.set(name, (counts.get(name) ?? 0) + value);
      else metrics.addMetric(name, unit, value);
    },
    flush,
    [Symbol.dispose]() {
      clearInterval(timer);
      flush();
    },
  };
}
