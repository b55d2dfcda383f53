import type { CheckResult, TargetReport, Verdict } from './report.ts';

export interface Findings {
  /** What was committed before is applied. */
  readonly caughtUp: boolean;
  /** Everything that was asked for was compared and checked. */
  readonly complete: boolean;
  /** The other direction is the truth now. */
  readonly fenced: boolean;
  readonly targets: readonly Pick<
    TargetReport,
    'target' | 'missing' | 'extra' | 'different' | 'repaired' | 'unsettled'
  >[];
  readonly checks: readonly CheckResult[];
}

function rows(count: number): string {
  return count === 1 ? '1 row' : `${count} rows`;
}

/**
 * The answer, and why it is not a yes. Drift and failed checks are proved, so they outweigh what could not be found out.
 * Rows of quarantined scopes are told apart and do not count here.
 */
export function judge({ caughtUp, complete, fenced, targets, checks }: Findings): {
  verdict: Verdict;
  reasons: string[];
} {
  const wrong: string[] = [];
  const unknown: string[] = [];
  for (const { target, missing, extra, different, repaired, unsettled } of targets) {
    const drift = missing + extra + different - repaired;
    if (drift > 0) wrong.push(`${target}: ${rows(drift)} drifted.`);
    if (unsettled.scopes > 0) {
      unknown.push(
        `${target}: of ${unsettled.scopes} scopes that differ it could not be proved whether a change is still on its way. Validate again.`,
      );
    }
  }
  for (const { name, outcome, level } of checks) {
    if (outcome === 'fail') wrong.push(`The check ${name} (${level}) failed.`);
    // When every row was compared, rows that never stand still leave nothing open.
    if (outcome === 'moving' && targets.length === 0) {
      unknown.push(`The check ${name} (${level}) did not pass while changes were on their way. Validate the rows.`);
    }
  }
  if (fenced) unknown.push('The direction was switched during the validation. Validate again.');
  else if (!caughtUp) unknown.push(notCaughtUp);
  else if (!complete)
    unknown.push('Not everything was compared and checked yet; `lockstep validate --resume` goes on.');
  const verdict = wrong.length > 0 ? 'differs' : unknown.length > 0 ? 'unproven' : 'agrees';
  return { verdict, reasons: [...wrong, ...unknown] };
}

const notCaughtUp =
  'What was committed before the validation began is not applied yet, so nothing can be proved. `lockstep status` tells what is in flight.';
