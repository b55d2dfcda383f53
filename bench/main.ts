import { parseArgs } from 'node:util';
import type { Benchmark, Row, Size } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import { record, tableOf } from './report.ts';
import { apply } from './rows/apply.ts';
import { backfill } from './rows/backfill.ts';
import { endToEnd } from './rows/end-to-end.ts';
import { latency } from './rows/latency.ts';
import { listener } from './rows/listener.ts';
import { memory } from './rows/memory.ts';
import { overhead } from './rows/overhead.ts';
import { backlog, scale } from './rows/scale.ts';
import { validation } from './rows/validation.ts';

const benchmarks: readonly Benchmark[] = [
  listener,
  apply,
  endToEnd,
  latency,
  backfill,
  validation,
  overhead,
  memory,
  scale,
  backlog,
];

const usage = `npm run bench -- [NAME …] [--quick] [--scale]

${benchmarks.map(({ name, summary, long }) => `  ${name.padEnd(12)} ${summary}${long ? ' (--scale)' : ''}`).join('\n')}

  --quick      a tenth of the data: a look, not a result
  --smoke      the least data that runs: whether each works
  --scale      only those that take too long for the whole table
`;

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean' },
    smoke: { type: 'boolean' },
    scale: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
const unknown = names.find((name) => !benchmarks.some((benchmark) => benchmark.name === name));
if (options.help || unknown !== undefined) {
  process.stderr.write(`${unknown === undefined ? '' : `There is no benchmark "${unknown}".\n\n`}${usage}`);
  process.exit(unknown === undefined ? 0 : 2);
}
const size: Size = options.smoke ? 'smoke' : options.quick ? 'quick' : 'full';
const chosen = benchmarks.filter(({ name, long }) =>
  names.length > 0 ? names.includes(name) : options.smoke || (long ?? false) === (options.scale ?? false),
);

const startedAt = new Date();
const rows: (Row & { benchmark: string })[] = [];
const failures: string[] = [];

/** Writes down what there is so far, and what is not: a long run that is stopped keeps what it has measured. */
async function keep(notYet: readonly Benchmark[]): Promise<void> {
  // A part of the table, or a look at it, does not replace the record of the whole.
  if (size !== 'full' || names.length > 0) return;
  const result = {
    size,
    startedAt: startedAt.toISOString(),
    seconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
    machine: await describeMachine(),
    rows,
    failures: [...failures, ...notYet.map(({ name }) => `${name}: the run was ended before it`)],
  };
  await record(result, options.scale ? 'scale' : 'results');
}

for (const [index, benchmark] of chosen.entries()) {
  const sinceMs = performance.now();
  const note = (text: string) => process.stderr.write(`  ${benchmark.name}: ${text}\n`);
  process.stderr.write(`${benchmark.name}: ${benchmark.summary}\n`);
  try {
    for (const row of await benchmark.run({ size, note })) rows.push({ benchmark: benchmark.name, ...row });
  } catch (error) {
    // One that cannot run (a program is missing) must not cost the others' results.
    failures.push(`${benchmark.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.stderr.write(`  ${failures.at(-1)}\n`);
  }
  note(`${((performance.now() - sinceMs) / 1000).toFixed(0)} s`);
  await keep(chosen.slice(index + 1));
}
process.stdout.write(`${tableOf(rows)}\n`);
process.exitCode = failures.length > 0 ? 2 : 0;
