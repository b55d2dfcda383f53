import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { listenerFlags } from '../../cli/dev/worker.ts';
import { type Benchmark, type Row, sized } from '../benchmark.ts';

interface Report {
  readonly rows: number;
  readonly rowsPerSecond: number;
  readonly memoryPeakByQuarterMebibytes: readonly number[];
}

/** The listener's resident memory while it reads one very large transaction: flat. */
export const memory: Benchmark = {
  name: 'memory',
  summary: "the listener's memory over one transaction of 5,000,000 rows",
  async run(context) {
    const rows = sized(context, 5_000_000, 500_000, 20_000);
    context.note(`${rows} rows in one transaction`);
    const program = fileURLToPath(new URL('../processes/memory.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [...listenerFlags, program, String(rows)]);
    const report = JSON.parse(stdout) as Report;
    const quarters = report.memoryPeakByQuarterMebibytes;
    const size = report.rows.toLocaleString('en-US');
    return [
      {
        what: `listener memory, a transaction of ${size} rows`,
        against: '',
        series: [{ label: 'capture', unit: 'rows/s', values: [report.rowsPerSecond] }],
        figure: [Math.max(...quarters)],
        figureUnit: 'MiB',
        target: { kind: 'at most', value: 200 },
        notes: [`peak of each quarter: ${quarters.join(', ')} MiB`],
      },
      {
        what: 'listener memory, last quarter',
        against: 'second quarter',
        series: [],
        figure: [(quarters[3] ?? Number.NaN) / (quarters[1] ?? Number.NaN)],
        figureUnit: 'x',
        target: { kind: 'at most', value: 1.15 },
      },
    ] satisfies Row[];
  },
};
