import { switchDirection } from '../../engine/phases/switch.ts';
import { silent } from '../../engine/telemetry.ts';
import { openDatabase } from '../../infra/postgres/database.ts';
import { migration } from '../migrations/library/migration.ts';

/** A cutover in a process of its own that is killed (SIGKILL) when it gets to the place that is its argument. */
const [place] = process.argv.slice(2);
const { pool } = await openDatabase({ applicationName: 'doomed cutover', max: 4 });
await switchDirection({
  pool,
  migration,
  change: 'cutover',
  maxPauseMs: 20_000,
  deadLetters: 0,
  telemetry: silent,
  failpoints: (reached) => {
    if (reached === place) process.kill(process.pid, 'SIGKILL');
  },
});
