import type { BackfillProgress } from '../../engine/backfill/record.ts';
import { countText, durationText } from './units.ts';

const width = 24;

/** One target's backfill in a line: bar, share, scopes, rows, and its rate and time left while it runs. */
export function progressText(target: BackfillProgress, nowMs = Date.now()): string {
  const finished = target.targetFinishedAt !== null;
  const share = finished ? 1 : Math.min(0.99, target.scopesDone / Math.max(1, target.scopesEstimated));
  const filled = Math.round(share * width);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`;
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const amounts = `${countText(target.scopesDone)} scopes, ${countText(target.rowsWritten)} rows written`;
  return `${target.target.padEnd(20)} ${bar} ${percent}  ${amounts}${stateText(target, share, nowMs)}`;
}

function stateText(target: BackfillProgress, share: number, nowMs: number): string {
  if (target.targetFinishedAt !== null) return '';
  if (target.paused) return ', paused';
  if (target.startedAt === null || target.scopesDone === 0) return ', waiting';
  const seconds = Math.max(0.001, (nowMs - Date.parse(target.startedAt)) / 1000);
  const left = (seconds * (1 - share)) / Math.max(0.01, share);
  return `, ${countText(Math.round(target.scopesDone / seconds))} scopes/s, ${durationText(left)} left`;
}
