import { writeFile } from 'node:fs/promises';
import type { Row } from './benchmark.ts';
import type { MachineDescription } from './machine.ts';
import { isMet, median, pretty } from './numbers.ts';

export interface Result {
  readonly size: string;
  readonly startedAt: string;
  readonly seconds: number;
  readonly machine: MachineDescription;
  readonly rows: readonly (Row & { readonly benchmark: string })[];
  /** Of benchmarks that could not be run. */
  readonly failures: readonly string[];
}

const spread = (values: readonly number[]) =>
  values.length < 2 ? '' : ` (${pretty(Math.min(...values))} – ${pretty(Math.max(...values))})`;

const withUnit = (value: string, unit: string) => (unit === 'x' ? `${value}x` : `${value} ${unit}`);

function cellsOf(row: Row): string[] {
  const figure = median(row.figure);
  const { target } = row;
  return [
    row.what,
    row.against,
    `${withUnit(pretty(figure), row.figureUnit)}${spread(row.figure)}`,
    target ? `${target.kind} ${withUnit(pretty(target.value), row.figureUnit)}` : '',
    target ? (isMet(figure, target) ? 'met' : 'MISSED') : '',
  ];
}

const heads = ['what', 'against', 'median (spread)', 'target', ''];

/** The table as text, the target beside each figure. */
export function tableOf(rows: readonly Row[]): string {
  const lines = [heads, ...rows.map(cellsOf)];
  const widths = heads.map((_, column) => Math.max(...lines.map((cells) => (cells[column] ?? '').length)));
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function markdownOf(result: Result): string {
  const { machine } = result;
  const table = (lines: readonly (readonly string[])[]) => lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const measured = result.rows.flatMap((row) =>
    row.series.map(({ label, unit, values }) => [
      row.what,
      label,
      `${pretty(median(values))} ${unit}${spread(values)}`,
    ]),
  );
  const seen = new Set<string>();
  const once = measured.filter((cells) => !seen.has(cells.join()) && seen.add(cells.join()));
  const notes = result.rows.flatMap((row) => (row.notes ?? []).map((note) => `- ${row.what}: ${note}`));
  return `# Results

Written by \`npm run bench\`: ${result.startedAt}, ${Math.round(result.seconds / 60)} minutes, commit ${machine.commit}. What each line means and how it is
measured: [README.md](README.md). What was tried: [LOG.md](LOG.md).

Median of the turns, in parentheses the smallest and the largest. A ratio is taken turn by turn.

${table([heads, heads.map(() => '---'), ...result.rows.map(cellsOf)])}

## What was measured

${table([['what', 'of', 'median (spread)'], ['---', '---', '---'], ...once])}

${[...new Set(notes)].join('\n')}
${result.failures.map((failure) => `\nNot measured: ${failure.split('\n')[0]}`).join('')}
## Machine

${machine.processor}, ${machine.cores} cores, ${machine.memoryGibibytes} GiB, ${machine.system}; load at the end ${machine.load.join(', ')}. PostgreSQL, queue, listener,
appliers and the application share it.

${table([['part', 'version'], ['---', '---'], ...Object.entries(machine.versions)])}
`;
}

/** Writes a result beside this file: for people (Markdown) and for programs (JSON). */
export async function record(result: Result, name: 'results' | 'scale'): Promise<void> {
  await writeFile(new URL(`${name.toUpperCase()}.md`, import.meta.url), markdownOf(result));
  await writeFile(new URL(`${name}.json`, import.meta.url), `${JSON.stringify(result, undefined, 2)}\n`);
}
