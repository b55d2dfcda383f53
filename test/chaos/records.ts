import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import type { Machine } from './machine.ts';
import { partNames } from './plan.ts';
import type { Outcome } from './schedule.ts';
import type { Turned } from './turn.ts';

type Counts = Record<string, number>;

/** What one run of the command has shown. */
export interface RunRecord {
  readonly seed: number;
  readonly schedules: number;
  readonly minutes: number;
  readonly cores: number;
  readonly node: string;
  readonly failures: readonly { readonly seed: number; readonly failure: string }[];
  readonly committed: number;
  readonly watched: number;
  readonly healedMs: readonly number[];
  readonly lines: number;
  readonly faults: Counts;
  readonly met: Counts;
  readonly exits: Counts;
  readonly turned: readonly Pick<Turned, 'change' | 'killedAt' | 'tries' | 'refusals' | 'pauseMs'>[];
}

/** One run a line. */
const file = new URL('records.jsonl', import.meta.url);

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

export function recordOf(outcomes: readonly Outcome[], machine: Machine, minutes: number): RunRecord {
  const faults: Counts = {};
  for (const { schedule, missed } of outcomes) {
    for (const fault of schedule.faults) {
      if (missed.includes(fault)) continue;
      const name = fault.on ? `${fault.kind}: ${fault.on}` : fault.kind;
      faults[name] = (faults[name] ?? 0) + 1;
    }
  }
  return {
    seed: Math.min(...outcomes.map(({ schedule }) => schedule.seed)),
    schedules: outcomes.length,
    minutes,
    cores: cpus().length,
    node: process.versions.node,
    failures: outcomes.flatMap(({ schedule: { seed }, failure }) => (failure === undefined ? [] : [{ seed, failure }])),
    committed: sum(outcomes.map(({ committed }) => committed)),
    watched: sum(outcomes.map(({ watched }) => watched)),
    healedMs: outcomes.map(({ healedMs }) => healedMs),
    lines: machine.printed.length,
    faults,
    met: Object.fromEntries(machine.faulty.met),
    exits: Object.fromEntries(partNames.map((name) => [name, machine.parts[name].exits.length])),
    turned: outcomes.flatMap(({ turned }) =>
      turned.map(({ change, killedAt, tries, refusals, pauseMs }) => ({
        change,
        tries,
        refusals,
        ...(killedAt && { killedAt }),
        ...(pauseMs !== undefined && { pauseMs: Math.round(pauseMs) }),
      })),
    ),
  };
}

async function readRecords(): Promise<RunRecord[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as RunRecord);
}

/** Keeps the record of a run beside those of others, in place of one of the same first seed. @returns all of them. */
export async function keep(record: RunRecord): Promise<RunRecord[]> {
  const others = (await readRecords()).filter(({ seed }) => seed !== record.seed);
  const records = [...others, record].sort((a, b) => a.seed - b.seed);
  await writeFile(file, records.map((one) => `${JSON.stringify(one)}\n`).join(''));
  return records;
}
