import type { Refusal } from '../phases/findings.ts';
import type { QuarantineGroup } from '../status/queries.ts';
import type { ValidationReport } from '../validate/report.ts';

/** What is known before the legacy tables are given up. */
export interface CompletionFacts {
  readonly quarantine: readonly QuarantineGroup[];
  /** Whether everything that had been committed was applied within the time allowed. */
  readonly applied: boolean;
  readonly waitedMs: number;
  readonly unfinishedBackfills: number;
  /** Undefined: not compared yet. */
  readonly report?: Pick<ValidationReport, 'agrees' | 'verdict' | 'reasons'>;
}

/** Every reason why the legacy tables must stay for now. */
export function completionRefusals(facts: CompletionFacts): Refusal[] {
  const found: Refusal[] = [];
  const scopes = facts.quarantine.reduce((sum, group) => sum + group.scopes, 0);
  if (scopes > 0) {
    const groups = facts.quarantine.map((group) => `${group.target}: ${group.scopes}, ${group.message}`);
    found.push({
      name: 'quarantine',
      reason: `${scopes} scopes could not be written to legacy, so the backup would lack them (${groups.join('; ')}).`,
      remedy: 'Mend their rows in the normalized tables, and run `lockstep retry`.',
    });
  }
  if (facts.unfinishedBackfills > 0) {
    const reason = `${facts.unfinishedBackfills} backfills of the reverse direction have not ended.`;
    found.push({ name: 'backfill-unfinished', reason, remedy: 'Let them end: `lockstep backfill` goes on with them.' });
  }
  if (!facts.applied) {
    const reason = `What had been committed was not applied to legacy within ${Math.round(facts.waitedMs / 100) / 10} s.`;
    const remedy =
      'Look at the listener and the appliers with `lockstep status`; `lockstep wait` says when it is applied.';
    found.push({ name: 'lag', reason, remedy });
  }
  if (facts.report && !facts.report.agrees) {
    const drift = facts.report.verdict === 'differs';
    found.push({
      name: drift ? 'drift' : 'not-validated',
      reason: `The final validation does not say that legacy is what the normalized tables say: ${facts.report.reasons.join(' ')}`,
      remedy: drift
        ? 'Find out who wrote these rows, run `lockstep validate --repair`, then complete again.'
        : 'Run it again; `lockstep status` shows what keeps it from being proved.',
    });
  }
  return found;
}
