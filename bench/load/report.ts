import type { MachineDescription } from '../machine.ts';
import { percentile, pretty } from '../numbers.ts';
import { type Phase, rateOf, recoveredAfterSeconds, type Sample } from './phase.ts';

const mebibytes = (bytes: number) => pretty(bytes / 2 ** 20);
const most = (samples: readonly Sample[], of: (sample: Sample) => number) => Math.max(...samples.map(of));
const minutes = (seconds: number) =>
  seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} minutes`;

function cellsOf({ name, perSecond, samples }: Phase): string[] {
  const lag = samples.map(({ lagSeconds }) => lagSeconds);
  const [first, last] = [samples[0], samples.at(-1)];
  return [
    name,
    minutes(samples.length),
    pretty(perSecond),
    pretty(rateOf(samples)),
    `${pretty(percentile(lag, 50))} / ${pretty(percentile(lag, 99))}`,
    `${pretty(first?.lagSeconds ?? 0)} → ${pretty(last?.lagSeconds ?? 0)}`,
    mebibytes(most(samples, ({ keptBytes }) => keptBytes)),
    `${pretty(most(samples, ({ messages }) => messages))} / ${pretty(most(samples, ({ keys }) => keys))}`,
  ];
}

const heads = [
  'phase',
  'for',
  'changes/s asked',
  'committed',
  'lag p50 / p99 (s)',
  'lag first → last (s)',
  'WAL kept, most (MiB)',
  'in flight, most: messages / keys',
];

function memoryCells({ name, samples }: Phase): string[] {
  const parts = ['listener', 'applier', 'queue'].map((part) => {
    const of = samples.map(({ resident }) => resident[part] ?? 0);
    return `${mebibytes(of[0] ?? 0)} → ${mebibytes(of.at(-1) ?? 0)} (${mebibytes(Math.max(...of))})`;
  });
  return [name, ...parts];
}

/** So many lines of each phase at most. */
const lines = 10;

function courseOf({ name, samples }: Phase): string[][] {
  const every = Math.max(1, Math.ceil(samples.length / lines));
  return samples
    .filter((_, index) => index % every === every - 1 || index === samples.length - 1)
    .map(({ atMs, lagSeconds, keptBytes, messages, keys, resident }) => [
      name,
      minutes((atMs - (samples[0]?.atMs ?? atMs)) / 1_000),
      pretty(lagSeconds),
      mebibytes(keptBytes),
      pretty(messages),
      pretty(keys),
      mebibytes(resident.listener ?? 0),
    ]);
}

const table = (rows: readonly (readonly string[])[]) => {
  const [head = [], ...body] = rows;
  return [head, head.map((_, column) => (column === 0 ? '---' : '---:')), ...body]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
};

export interface LoadResult {
  readonly command: string;
  readonly startedAt: string;
  readonly machine: MachineDescription;
  readonly photos: number;
  /** Whether the rate was found by this run. */
  readonly searched: boolean;
  readonly phases: readonly Phase[];
}

/** What a run has shown, as Markdown. */
export function loadText({ command, startedAt, machine, photos, searched, phases }: LoadResult): string {
  const recovery = phases.find(({ name }) => name === 'recovery');
  const after = recovery && recoveredAfterSeconds(recovery.samples);
  return `# Sustained load

Written by \`${command}\`: ${startedAt}, commit ${machine.commit}, ${machine.processor}, ${machine.cores} cores; application, PostgreSQL, queue, listener
and appliers share them. Load at the end: ${machine.load.join(', ')}.

Ten photos of ${photos.toLocaleString('en-US')} are changed in each transaction, at a rate that waits for nothing. ${
    searched
      ? 'First the rate is raised until the lag grows;\n`sustained` is the highest one at which it did not.'
      : 'The rate\nof `sustained` was given.'
  } \`above\` is a third more, \`recovery\` half of it. At the end every row is compared.

${table([heads, ...phases.map(cellsOf)])}

${after === undefined ? 'The backlog was not gone at the end.' : `The backlog of the time above was gone ${minutes(after)} after the rate fell.`}

## Memory

Resident, in MiB: first → last (most).

${table([['phase', 'listener', 'appliers', 'queue (emulator)'], ...phases.map(memoryCells)])}

## Course

${table([['phase', 'after', 'lag (s)', 'WAL kept (MiB)', 'messages', 'keys', 'listener (MiB)'], ...phases.flatMap(courseOf)])}
`;
}
