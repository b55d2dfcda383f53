import { fileURLToPath } from 'node:url';
import { applyQueue } from '../../../cli/apply-queue.ts';
import { createAwsTelemetry } from '../../../infra/telemetry/aws.ts';
import { hangOnParent } from './lifeline.ts';

/** `lockstep apply`, with its structured log. */
hangOnParent();
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
using telemetry = createAwsTelemetry({ service: 'apply', flushEveryMs: 1_000 });
await applyQueue({
  folder: fileURLToPath(new URL('../../../sql', import.meta.url)),
  concurrency: 2,
  telemetry,
  signal: stop.signal,
  onStarted: () => {},
});
