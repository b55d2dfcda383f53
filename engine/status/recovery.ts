import type { BackfillProgress } from '../backfill/record.ts';
import type { Finding } from './health.ts';

/** What made it necessary to derive everything again, by the run's reason. */
const causes: Readonly<Record<string, string>> = {
  'slot lost': 'The slot was lost, and with it changes',
  'messages lost': 'Messages were lost by the queue',
};

/** A run that makes good what was lost, while it is under way. */
export function recoveryFindings(backfill: readonly BackfillProgress[]): Finding[] {
  const found: Finding[] = [];
  for (const [reason, cause] of Object.entries(causes)) {
    const targets = backfill.filter((target) => target.reason === reason && target.finishedAt === null);
    if (targets.length === 0) continue;
    const done = targets.filter(({ targetFinishedAt }) => targetFinishedAt !== null).length;
    const paused = targets.some(({ paused: isPaused }) => isPaused)
      ? 'It is paused: `lockstep backfill --resume` goes on.'
      : '`lockstep backfill --status` says how far it is.';
    found.push({
      level: 'broken',
      text: `${cause}: everything is being derived again, ${done} of ${targets.length} targets are done. Until the end nothing counts as applied. ${paused}`,
    });
  }
  return found;
}
