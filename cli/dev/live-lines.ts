import type { DevTrafficCounts } from '../../engine/migration/dev.ts';
import type { Status } from '../../engine/status/status.ts';
import { progressText } from '../text/progress.ts';
import { bytesText, countText, durationText } from '../text/units.ts';
import type { Tally } from './tally.ts';

/** What a terminal shows while the machine runs: a bar for each target that is being backfilled, and a line of state. */
export function liveLines(status: Status, tally: Tally, legacy: DevTrafficCounts | undefined): string[] {
  const bars = status.backfill.filter(({ finishedAt }) => finishedAt === null).map((target) => progressText(target));
  const lag = tally.lagMs(50);
  const scopes = status.quarantine.reduce((sum, group) => sum + group.scopes, 0);
  const parts = [
    status.phase,
    legacy ? `${countText(legacy.transactions)} transactions, ${countText(legacy.changes)} changes` : 'no traffic',
    `${countText(tally.sum('sqs_messages_sent'))} messages`,
    `in flight ${countText(status.inFlight.messages)}`,
    `lag ${durationText(status.lag.seconds)}${lag === undefined ? '' : ` (p50 ${Math.round(lag)} ms)`}`,
    `WAL kept ${bytesText(status.slot?.retainedBytes ?? 0)}`,
    `quarantine ${countText(scopes)}`,
  ];
  return [...bars, parts.join(' | ')];
}
