import type { CompleteOutcome } from '../../engine/complete/complete.ts';
import type { RestoreResult } from '../../engine/complete/restore.ts';

export function completeText(result: CompleteOutcome): string {
  if (result.outcome === 'refused') {
    const reasons = result.refusals.map(({ reason, remedy }) => `  ${reason}\n    ${remedy}`);
    return `Not completed; nothing was dropped, and legacy is kept in step.\n${reasons.join('\n')}`;
  }
  const applied = result.steps.map((step) => `  ${step}`);
  const steps = applied.length > 0 ? `Applied:\n${applied.join('\n')}\n` : '';
  const leftovers = result.leftovers.map(({ name, reason }) => `  The slot ${name} is still there: ${reason}.`);
  const rest =
    leftovers.length === 0
      ? 'The migration is complete. `lockstep restore` would give the legacy tables back.'
      : `The migration is complete, but a slot keeps WAL. Stop the listener, and run \`lockstep complete\` again.\n${leftovers.join('\n')}`;
  return `${steps}${rest}`;
}

export function restoreText(result: RestoreResult): string {
  const lines = [
    result.fromBackup
      ? `The legacy tables are back, from the backup of ${result.backupAt}.`
      : 'The legacy tables had not been dropped yet.',
  ];
  if (result.derived === 'finished') {
    const derived = Object.entries(result.rowsDerived).map(([table, rows]) => `  ${table}: ${rows}`);
    lines.push('Rows written from the normalized tables, for what has happened since:', ...derived);
  } else lines.push('What has happened since is not derived yet: `lockstep backfill` goes on with it.');
  if (result.losses.length > 0) {
    lines.push('What the legacy tables have no place for, and lack:');
    for (const { target, column, rows, reason } of result.losses)
      lines.push(`  ${rows} of ${target}${column === null ? '' : `.${column}`}: ${reason}`);
  }
  lines.push(
    'The normalized tables stay the truth. Start `lockstep listen`; then `lockstep rollback` can lead back to legacy.',
  );
  return lines.join('\n');
}
