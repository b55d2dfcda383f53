import { applyQueue } from '../../apply-queue.ts';
import { serve } from '../worker-process.ts';

/** Batches in hand at once: enough to keep two cores busy, few enough not to wait on each other's locks. */
const concurrency = 4;

await serve(({ folder, telemetry, signal, ready }) =>
  applyQueue({ folder, telemetry, signal, concurrency, onStarted: ready }),
);
