import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { leaks } from './leaks.ts';
import { type Machine, startChaosMachine } from './machine.ts';
import { minimise } from './minimise.ts';
import { planOf, type Schedule } from './plan.ts';
import { keep, recordOf } from './records.ts';
import { resultsText } from './results.ts';
import { type Outcome, runSchedule } from './schedule.ts';
import { settle } from './settle.ts';

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

const planText = ({ faults, turns }: Schedule) => [
  ...faults.map(
    ({ atMs, kind, forMs, on }) => `${atMs} ms ${kind}${on ? ` (${on})` : ''}${forMs ? ` for ${forMs} ms` : ''}`,
  ),
  ...turns.map(({ atMs, change, killedAt }) => `${atMs} ms ${change}${killedAt ? ` killed at ${killedAt}` : ''}`),
];

async function runAll(machine: Machine): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let seed = first; seed < first + count; seed++) {
    const schedule = planOf(seed);
    const outcome = await runSchedule(machine, schedule);
    outcomes.push(outcome);
    const { committed, watched, healedMs, failure, turned } = outcome;
    const text = `${committed} transactions, ${watched} commits watched, applied after ${healedMs} ms`;
    say(`${failure === undefined ? 'well  ' : 'FAILED'} seed ${seed}: ${text}; ${planText(schedule).join(', ')}`);
    for (const { change, tries, pauseMs, refusals } of turned)
      say(`  ${change}: ${tries} tries, pause ${Math.round(pauseMs ?? 0)} ms, ${JSON.stringify(refusals)}`);
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
  if (unwell !== undefined) {
    throw new Error(`Not well before anything was broken: ${unwell}\n${machine.printed.slice(-40).join('\n')}`);
  }
  const outcomes = await runAll(machine);
  failure = outcomes.find((outcome) => outcome.failure !== undefined);
  const leaked = leaks(machine);
  for (const [text, line] of Object.entries(leaked)) say(`LEAKED ${text}: ${line}`);
  if (failure || Object.keys(leaked).length > 0) process.exitCode = 1;
  if (failure) {
    // Figures are printed all the time, and would leave no room for what was said.
    const said = machine.printed.filter((line) => !line.includes('"_aws"'));
    say(`\n${failure.failure}\n\nWhat the processes printed last:\n${said.slice(-80).join('\n')}\n`);
  }
  if (values.record) {
    const path = new URL('RESULTS.md', import.meta.url);
    const record = recordOf(outcomes, machine, (Date.now() - startedMs) / 60_000);
    await writeFile(path, resultsText(await keep(record)));
  }
}
if (failure) {
  say(`Repeat it: npm run chaos -- --seed ${failure.schedule.seed} --schedules 1`);
  const smallest = values.minimise ? await minimise(failure.schedule, say) : failure.schedule;
  say(`Smallest schedule seen to fail: ${JSON.stringify(smallest)}`);
}
// As in cli/bin.js: Node's teardown may not end.
process.exit();
