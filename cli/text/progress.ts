import { paceOf } from '../../engine/backfill/progress.ts';
import type { BackfillProgress } from '../../engine/backfill/record.ts';
import { countText, durationText } from './units.ts';

const width = 24;

/** One target's backfill in a line: bar, share, scopes, rows, and its rate and time left while it runs. */
export function progressText(target: BackfillProgress, nowMs = Date.now()): string {
  const { share } = paceOf(target, nowMs);
  const filled = Math.round(share * width);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`;
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const amounts = `${countText(target.scopesDone)} scopes, ${countText(target.rowsWritten)} rows written`;
  return `${target.target.padEnd(20)} ${bar} ${percent}  ${amounts}${stateText(target, nowMs)}`;
}

function stateText(target: BackfillProgress, nowMs: number): string {
  if (target.targetFinishedAt !== null) return '';
  if (target.paused) return ', paused';
  const { scopesPerSecond, secondsLeft } = paceOf(target, nowMs);
  if (scopesPerSecond === undefined || secondsLeft === undefined) return ', waiting';
  return `, ${countText(Math.round(scopesPerSecond))} scopes/s, ${durationText(secondsLeft)} left`;
}
