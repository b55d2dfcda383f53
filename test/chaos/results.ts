import { cpus } from 'node:os';
import type { Machine } from './machine.ts';
import { partNames } from './plan.ts';
import type { Outcome } from './schedule.ts';

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
const inOrder = (counts: ReadonlyMap<string, number>) => [...counts].sort(([a], [b]) => (a < b ? -1 : 1));

function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

/** What a run of schedules has shown, as Markdown. */
export function resultsText(outcomes: readonly Outcome[], machine: Machine, minutes: number): string {
  const failed = outcomes.filter(({ failure }) => failure !== undefined);
  const seeds = outcomes.map(({ schedule }) => schedule.seed);
  const faults = new Map<string, number>();
  for (const { schedule, missed } of outcomes) {
    for (const fault of schedule.faults) {
      if (missed.includes(fault)) continue;
      const name = fault.on ? `${fault.kind}: ${fault.on}` : fault.kind;
      faults.set(name, (faults.get(name) ?? 0) + 1);
    }
  }
  const healed = outcomes.map(({ healedMs }) => healedMs);
  const exits = new Map(partNames.map((name) => [name, machine.parts[name].exits.length]));
  const table = (rows: (readonly [string, number])[]) => rows.map(([name, count]) => `| ${name} | ${count} |`);
  return [
    '# Chaos: recorded schedules',
    '',
    'Written by `npm run chaos`; do not edit. What a schedule is and how it is judged: [README.md](README.md).',
    '',
    `\`npm run chaos -- --seed ${Math.min(...seeds)} --schedules ${outcomes.length} --record\`, ${Math.round(minutes)} minutes on ${cpus().length} cores that others used as well, Node ${process.versions.node}.`,
    '',
    '| | |',
    '|---|---:|',
    ...table([
      ['schedules', outcomes.length],
      ['failed', failed.length],
      ['faults', sum([...faults.values()])],
      ['legacy transactions committed', sum(outcomes.map(({ committed }) => committed))],
      ['commits watched until the watermark passed them', sum(outcomes.map(({ watched }) => watched))],
      ['applied after the last fault, median (ms)', quantile(healed, 0.5)],
      ['applied after the last fault, slowest (ms)', Math.max(...healed)],
      ['log lines searched for secrets and row data', machine.printed.length],
    ]),
    '',
    '## Faults',
    '',
    '| fault | times |',
    '|---|---:|',
    ...table(inOrder(faults)),
    '',
    'Met by single requests to the queue:',
    '',
    '| | times |',
    '|---|---:|',
    ...table(inOrder(machine.faulty.met)),
    '',
    'Ended by themselves because of an outage, and started again (beside those that were killed):',
    '',
    '| process | times |',
    '|---|---:|',
    ...table([...exits]),
    '',
    ...(failed.length > 0
      ? ['## Failures', '', ...failed.map(({ schedule, failure }) => `- seed ${schedule.seed}: ${failure}`), '']
      : []),
  ].join('\n');
}
