import type { Plan } from '../../engine/plan/plan.ts';
import type { PreflightFinding } from '../../engine/plan/preflight.ts';
import type { TableSize } from '../../engine/plan/tables.ts';
import { type Paint, plain } from './paint.ts';
import { bytesText, countText, durationText } from './units.ts';

/** A plan for people: what there is, what is odd about it, what it will take, and what stands in the way. */
export function planText(plan: Plan, paint: Paint = plain): string {
  const sections: [string, string[]][] = [
    [`Migration "${plan.migration}" on database "${plan.database}" (nothing is changed by this)`, []],
    ['Legacy tables', plan.sources.map(tableText)],
    ['Normalized tables', plan.targets.map(tableText)],
    [
      'In your data',
      [
        ...plan.listings.flatMap(listingText),
        ...plan.refusals.flatMap(refusalText),
        ...plan.unanswered.map((question) => `not answered in time: ${question} (--timeout)`),
      ],
    ],
    ['Backfill', backfillText(plan)],
    ['SQS', sqsText(plan)],
    ['Connections and locks', budgetText(plan)],
    ['Before you start', plan.preflight.flatMap((finding) => findingText(finding, paint))],
  ];
  const blockers = plan.preflight.filter(({ level }) => level === 'blocker').length;
  const shown = sections.filter(
    ([title, lines], index) => index === 0 || lines.length > 0 || title === 'Before you start',
  );
  const text = shown.map(([title, lines]) => [title, ...lines.map((line) => `  ${line}`)].join('\n'));
  if (!plan.migrated) {
    text.push(
      'The views are not in this database yet. `lockstep migrate` makes them, and the empty normalized tables; it writes no\nlegacy row. Plan again then, for what your data holds and how long the backfill takes.',
    );
  }
  text.push(
    blockers === 0
      ? 'Nothing stands in the way.'
      : `${blockers} ${blockers === 1 ? 'thing stands' : 'things stand'} in the way.`,
  );
  return text.join('\n\n');
}

function tableText({ table, rows, counted, bytes, changesPerDay }: TableSize): string {
  const changes = changesPerDay === null ? '' : `, ${countText(changesPerDay)} changes a day`;
  return `${table.padEnd(32)} ${counted ? '' : 'about '}${countText(rows)} rows, ${bytesText(bytes)}${changes}`;
}

function listingText({ title, rows, examples }: Plan['listings'][number]): string[] {
  if (rows === null) return [`${title}: not counted in time (--timeout)`];
  return [
    `${title}: ${countText(rows)}`,
    ...examples.map(
      (example) =>
        `  ${Object.entries(example)
          .map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
          .join(', ')}`,
    ),
  ];
}

function refusalText({ target, constraint, what, rows, examples }: Plan['refusals'][number]): string[] {
  const keys = examples.map((key) => (key.length === 1 ? key[0] : `(${key.join(', ')})`)).join(', ');
  return [
    `${target} would refuse ${countText(rows)} ${rows === 1 ? 'row' : 'rows'} (${constraint}): ${what}`,
    `  such as ${keys}`,
  ];
}

function backfillText({ backfill, samples }: Plan): string[] {
  if (!backfill) return [];
  const lines = backfill.targets.map(({ target, scopes, rows, seconds }) => {
    const sample = samples.find((candidate) => candidate.target === target);
    const measured = sample
      ? `${countText(sample.sampledScopes)} scopes derived in ${sample.sampledMs.toFixed(0)} ms`
      : '';
    return `${target.padEnd(20)} ${countText(scopes)} scopes, about ${countText(rows)} rows, ${durationText(seconds)} (${measured})`;
  });
  const how = `in all about ${durationText(backfill.seconds)}: time to derive the sample x scopes / sampled scopes x ${backfill.writeFactor} for writing (--write-factor)`;
  return [...lines, how, 'while the application is busy the backfill gives way, and takes up to twice as long'];
}

function sqsText({ sqs }: Plan): string[] {
  const cost =
    sqs.dollarsPerMonthAtMost === null ? 'unknown' : `at most ${sqs.dollarsPerMonthAtMost.toFixed(2)} dollars a month`;
  return [`cost: ${cost}`, ...sqs.arithmetic, 'the backfill does not use the queue'];
}

function budgetText({ connections, locks }: Plan): string[] {
  return [
    `connections: ${connections.arithmetic}; ${connections.free} of ${connections.max} are free`,
    `locks: ${countText(locks.needed)} of ${countText(locks.capacity)} at most, ${locks.fits ? 'which fits' : 'which does NOT fit'}`,
  ];
}

function findingText({ level, about, found, fix }: PreflightFinding, paint: Paint): string[] {
  return [`${paint(level === 'blocker' ? 'bad' : 'attention', level)} ${about}: ${found}`, `  Do this: ${fix}`];
}
