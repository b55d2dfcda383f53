import type { Refusal } from '../../engine/phases/findings.ts';
import type { Lossiness } from '../../engine/phases/lossiness.ts';
import type { SwitchChange, SwitchOutcome } from '../../engine/phases/switch.ts';
import { countText } from './units.ts';

/** What became of a cutover or rollback, for people. */
export function switchText(change: SwitchChange, result: SwitchOutcome): string {
  const side = change === 'cutover' ? 'normalized' : 'legacy';
  switch (result.outcome) {
    case 'switched':
      return `The ${side} tables are the truth now (phase ${result.phase}). Writers waited ${ms(result.pauseMs)}, in which ${countText(result.scopesCompared)} scopes were compared.`;
    case 'already':
      return `Nothing to do: the ${side} tables have been the truth since ${result.changedAt}${result.pauseMs === null ? '' : ` (writers waited ${ms(result.pauseMs)})`}.`;
    case 'possible':
      return `Nothing is against a ${change} now.`;
    case 'continue':
      return `The time was up with ${countText(result.scopesLeft)} scopes still to be compared; nothing was locked. Run it again, to go on.`;
    case 'refused':
      return [`A ${change} is refused; nothing was locked.`, ...result.refusals.flatMap(refusalLines)].join('\n');
    case 'aborted':
      return [
        `The ${change} was begun and rolled back: nothing has changed. Writers waited ${ms(result.pauseMs)}${result.attempts > 1 ? ` at most, in ${result.attempts} attempts` : ''}.`,
        ...result.refusals.flatMap(refusalLines),
      ].join('\n');
  }
}

function refusalLines({ name, reason, remedy }: Refusal): string[] {
  return [`  ${name}: ${reason}`, `    Do this: ${remedy}`];
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

const said = {
  extra: 'would be deleted from legacy',
  missing: 'would be added to legacy',
  different: 'would change',
} as const;

/** What the way back would do to the legacy tables, and what it cannot carry, for people. */
export function lossinessText({ departures, losses }: Lossiness): string {
  const changes = departures.map(({ target, kind, column, rows, examples }) => {
    const what = column === null ? said[kind] : `${said[kind]} in ${column}`;
    return `  ${target}: ${countText(rows)} rows ${what} (${examplesText(examples)})`;
  });
  const lost = losses.map(({ target, column, reason, rows, examples }) => {
    const what = column === null ? 'rows' : `rows, column ${column}`;
    return `  ${target}: ${countText(rows)} ${what}: ${reason} (${examplesText(examples)})`;
  });
  return [
    ...(changes.length > 0
      ? [
          'If every legacy row were derived again now:',
          ...changes,
          '  Once the normalized tables are the truth, validation shows these rows as drift until `lockstep rollback sync --all` has derived them.',
        ]
      : ['Every legacy row is what the way back would make of it.']),
    ...(lost.length > 0
      ? ['The legacy tables have no place for:', ...lost]
      : ['Nothing in the normalized tables would be lost on the way back.']),
  ].join('\n');
}

function examplesText(examples: readonly (readonly string[])[]): string {
  return `such as ${examples
    .slice(0, 3)
    .map((key) => key.join(', '))
    .join('; ')}`;
}
