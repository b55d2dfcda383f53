import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { leaks } from './leaks.ts';
import { type Machine, startChaosMachine } from './machine.ts';
import { minimise } from './minimise.ts';
import { planOf, type Schedule } from './plan.ts';
import { resultsText } from './results.ts';
import { type Outcome, runSchedule, settle } from './schedule.ts';

/** `npm run chaos -- --seed N --schedules K [--record]`: exit code 0 when all is well, 1 when a schedule has failed. */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    schedules: { type: 'string', default: '20' },
    record: { type: 'boolean', default: false },
    minimise: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const first = Number(values.seed);
const count = Number(values.schedules);
const say = (text: string) => void process.stdout.write(`${text}\n`);

const faultsText = ({ faults }: Schedule) =>
  faults.map(
    ({ atMs, kind, forMs, on }) => `${atMs} ms ${kind}${on ? ` (${on})` : ''}${forMs ? ` for ${forMs} ms` : ''}`,
  );

async function runAll(machine: Machine): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let seed = first; seed < first + count; seed++) {
    const schedule = planOf(seed);
    const outcome = await runSchedule(machine, schedule);
    outcomes.push(outcome);
    const { committed, watched, healedMs, failure } = outcome;
    const text = `${committed} transactions, ${watched} commits watched, applied after ${healedMs} ms`;
    say(`${failure === undefined ? 'well  ' : 'FAILED'} seed ${seed}: ${text}; ${faultsText(schedule).join(', ')}`);
    // What comes after a failure proves nothing.
    if (failure !== undefined) break;
  }
  return outcomes;
}

const startedMs = Date.now();
let failure: Outcome | undefined;
{
  await using machine = await startChaosMachine(first);
  const unwell = await settle(machine);
  if (unwell !== undefined) throw new Error(`The machine was not well before anything was broken: ${unwell}`);
  const outcomes = await runAll(machine);
  failure = outcomes.find((outcome) => outcome.failure !== undefined);
  const leaked = leaks(machine);
  for (const [text, line] of Object.entries(leaked)) say(`LEAKED ${text}: ${line}`);
  if (failure || Object.keys(leaked).length > 0) process.exitCode = 1;
  if (failure)
    say(`\n${failure.failure}\n\nWhat the processes printed last:\n${machine.printed.slice(-80).join('\n')}\n`);
  if (values.record) {
    const path = new URL('RESULTS.md', import.meta.url);
    await writeFile(path, resultsText(outcomes, machine, (Date.now() - startedMs) / 60_000));
  }
}
if (failure) {
  say(`Repeat it: npm run chaos -- --seed ${failure.schedule.seed} --schedules 1`);
  const smallest = values.minimise ? await minimise(failure.schedule, say) : failure.schedule;
  say(`Smallest schedule seen to fail: ${JSON.stringify(smallest)}`);
}
