import { switchDirection } from '../../engine/phases/switch.ts';
import { silent } from '../../engine/telemetry.ts';
import { openDatabase } from '../../infra/postgres/database.ts';
import { migration } from '../migrations/library/migration.ts';

/**
 * A cutover in a process of its own that gets a signal at a named place, and ends with 0 when it has not taken place.
 * Arguments: the place, the signal, --max-pause in milliseconds.
 */
const [place, signal, maxPauseMs] = process.argv.slice(2);
const { pool, close } = await openDatabase({ applicationName: 'doomed cutover', max: 4 });
const { outcome } = await switchDirection({
  pool,
  migration,
  change: 'cutover',
  maxPauseMs: Number(maxPauseMs),
  deadLetters: 0,
  telemetry: silent,
  // A machine with other work on it is slow.
  limits: { lagMs: 30_000 },
  failpoints: (reached) => {
    if (reached === place) process.kill(process.pid, signal);
  },
});
await close();
process.exitCode = outcome === 'aborted' ? 0 : 1;
