import type { Status } from '../../engine/status/status.ts';
import { type Paint, plain } from './paint.ts';
import { progressText } from './progress.ts';
import { bytesText, countText, durationText } from './units.ts';

/** The state of a migration for people, a few lines. */
export function statusText(status: Status, paint: Paint = plain): string {
  const lines = status.phase === 'complete' ? completeLines(status) : linesOf(status);
  const findings = status.findings.map(({ level, text }) =>
    paint(level === 'broken' ? 'bad' : 'attention', `${level.padEnd(nameWidth)} ${text}`),
  );
  return [...lines.map(([name = '', text = '']) => `${name.padEnd(nameWidth)} ${text}`), ...findings].join('\n');
}

const nameWidth = 11;

/** There is no stream any more of which anything could be said. */
function completeLines(status: Status): string[][] {
  return [
    ['phase', 'complete: there is one schema, and nothing left to keep in step'],
    ['validation', validationText(status)],
  ];
}

function linesOf(status: Status): string[][] {
  return [
    ['phase', `${status.phase}${status.armed ? ', armed' : ''}`],
    ['lag', lagText(status)],
    ['slot', slotText(status)],
    ['listener', status.listener ? `seen ${durationText(status.listener.seenSecondsAgo)} ago` : 'never seen'],
    ['in flight', inFlightText(status)],
    ...status.backfill.map((target) => ['backfill', progressText(target)]),
    ...status.quarantine.map((group) => [
      'quarantine',
      `${group.target}: ${countText(group.scopes)} scopes, ${group.message} (SQLSTATE ${group.sqlState})`,
    ]),
    ['validation', validationText(status)],
  ];
}

function lagText({ lag }: Status): string {
  const unread = lag.bytes === null ? '' : `, ${bytesText(lag.bytes)} of WAL not read`;
  return `${durationText(lag.seconds)}${unread}`;
}

function slotText({ slot }: Status): string {
  if (!slot) return 'none';
  const limit =
    slot.safeWalBytes === null
      ? 'never lost (max_slot_wal_keep_size is not set)'
      : `lost after ${bytesText(slot.safeWalBytes)} more${slot.secondsUntilLost === null ? '' : `, in ${durationText(slot.secondsUntilLost)}`}`;
  return `${slot.name}, ${slot.active ? 'read' : 'not read'}, ${slot.walStatus}, keeps ${bytesText(slot.retainedBytes)}, ${limit}`;
}

function validationText({ validation }: Status): string {
  if (!validation) return 'never';
  const when = `${durationText(validation.secondsAgo)} ago`;
  const sample = validation.samplePercent === null ? '' : `, a sample of ${validation.samplePercent} %`;
  const extent = validation.whole ? sample : `${sample}, some targets only`;
  if (validation.verdict === null) return `not finished, begun ${when}${extent}`;
  const drift = validation.verdict === 'differs' ? `, ${countText(validation.rowsDrifted)} rows` : '';
  return `${validation.verdict}${drift}, ${when}${extent}`;
}

function inFlightText({ inFlight }: Status): string {
  if (inFlight.messages === 0) return 'nothing';
  const age = durationText(inFlight.oldestAgeSeconds);
  return `${countText(inFlight.messages)} messages, ${countText(inFlight.keys)} rows, the oldest committed ${age} ago`;
}
