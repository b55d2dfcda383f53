import type { RunRecord } from './records.ts';

type Rows = readonly (readonly (string | number)[])[];

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

/** Counts of several runs, by name, in order. */
function added(counts: readonly { readonly [name: string]: number }[]): [string, number][] {
  const total = new Map<string, number>();
  for (const [name, count] of counts.flatMap((one) => Object.entries(one))) {
    total.set(name, (total.get(name) ?? 0) + count);
  }
  return [...total].sort(([a], [b]) => (a < b ? -1 : 1));
}

const table = (head: readonly string[], rows: Rows): string[] => [
  `| ${head.join(' | ')} |`,
  `|---|${head
    .slice(1)
    .map(() => '---:|')
    .join('')}`,
  ...rows.map((row) => `| ${row.join(' | ')} |`),
  '',
];

function turnsText(records: readonly RunRecord[]): string[] {
  const turned = records.flatMap((record) => record.turned);
  if (turned.length === 0) return [];
  const changes = ['cutover', 'rollback'] as const;
  const rows = changes.map((change) => {
    const own = turned.filter((one) => one.change === change);
    const pauses = own.flatMap(({ pauseMs }) => pauseMs ?? []);
    return [change, own.length, sum(own.map(({ tries }) => tries)), quantile(pauses, 0.5), Math.max(0, ...pauses)];
  });
  const killed = added(turned.flatMap(({ killedAt }) => (killedAt ? [{ [killedAt]: 1 }] : [])));
  return [
    '## Changes of the direction',
    '',
    'Begun while faults were on, and tried again until done; what the schedule did not turn back was turned back afterwards.',
    '',
    ...table(['change', 'done', 'tries', 'pause, median (ms)', 'pause, longest (ms)'], rows),
    'Killed (SIGKILL) in the first try, where it got so far:',
    '',
    ...table(['at', 'times'], killed),
    'Tries that ended otherwise:',
    '',
    ...table(['answer', 'times'], added(turned.map(({ refusals }) => refusals))),
  ];
}

/** What all recorded runs have shown, as Markdown. */
export function resultsText(records: readonly RunRecord[]): string {
  const healed = records.flatMap(({ healedMs }) => healedMs);
  const failures = records.flatMap((record) => record.failures);
  const total = (of: (record: RunRecord) => number) => sum(records.map(of));
  return [
    '# Chaos: recorded schedules',
    '',
    'Written by `npm run chaos -- --record` from records.jsonl; do not edit. What a schedule is and how it is judged: [README.md](README.md).',
    '',
    ...table(
      ['run', 'schedules', 'failed', 'minutes', 'cores', 'Node'],
      records.map(({ seed, schedules, failures: own, minutes, cores, node }) => [
        `\`npm run chaos -- --seed ${seed} --schedules ${schedules} --record\``,
        schedules,
        own.length,
        Math.round(minutes),
        cores,
        node,
      ]),
    ),
    'Others used the cores as well. Together:',
    '',
    ...table(
      ['', ''],
      [
        ['schedules', total(({ schedules }) => schedules)],
        ['failed', failures.length],
        ['faults', total(({ faults }) => sum(Object.values(faults)))],
        ['transactions of the application committed', total(({ committed }) => committed)],
        ['commits watched until the watermark passed them', total(({ watched }) => watched)],
        ['applied after the last fault, median (ms)', quantile(healed, 0.5)],
        ['applied after the last fault, slowest (ms)', Math.max(...healed)],
        ['log lines searched for secrets and row data', total(({ lines }) => lines)],
      ],
    ),
    '## Faults',
    '',
    ...table(['fault', 'times'], added(records.map(({ faults }) => faults))),
    'Met by single requests to the queue:',
    '',
    ...table(['', 'times'], added(records.map(({ met }) => met))),
    'Ended by themselves because of an outage, and started again (beside those that were killed):',
    '',
    ...table(['process', 'times'], added(records.map(({ exits }) => exits))),
    ...turnsText(records),
    ...(failures.length > 0
      ? ['## Failures', '', ...failures.map(({ seed, failure }) => `- seed ${seed}: ${failure}`), '']
      : []),
  ].join('\n');
}
