import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { answers } from '../../cli/answers/answers.ts';
import type { EventName } from '../../cli/answers/versions.ts';
import { answersIn, checkAnswer } from '../cli/answers.ts';
import { checkout, lockstep, start } from '../cli/lockstep.ts';
import { journeys } from './journeys.ts';
import { openTerminal, travel } from './lifecycle.ts';

const folders = journeys.map(({ folder }) => folder);
const seen = new Set<EventName>();

test.each(folders)(
  '%s: backfill, live changes through the queue, validation',
  async (folder) => {
    const args = ['dev', '--migration', join(checkout, folder), '--users', '50', '--traffic', '40', '--duration', '3'];
    await using dev = start(args);
    await dev.event('ready', 120_000);
    expect(await dev.ended(120_000)).toBe(0);
    for (const answer of dev.events) seen.add(checkAnswer(answer));
    const summary = await dev.event('summary');
    expect(summary).toMatchObject({ agrees: true, reasons: [], legacy: { errors: 0 } });
    expect(summary.legacy.transactions).toBeGreaterThan(20);
    // Dirty rows are there on purpose: they are put aside, and the rest goes on.
    expect(summary.quarantine.length).toBeGreaterThan(0);
    for (const target of summary.targets) expect(target.compared).toBeGreaterThan(30);
  },
  300_000,
);

test.each(journeys)(
  '$folder: arm, cutover, writes back, rollback, forward again, cutover, completion, restored',
  async (journey) => {
    await using terminal = await openTerminal(journey.folder);
    await travel(terminal, journey);
    for (const event of terminal.seen()) seen.add(event);
  },
  600_000,
);

test('what a command says with --json follows its schema: each answer that there is', {
  timeout: 300_000,
}, async () => {
  const [folder = ''] = folders;
  await using terminal = await openTerminal(folder);
  const { json, begin } = terminal;
  await json(['plan']);
  await json(['migrate']);
  await json(['backfill', '--status']);
  await json(['backfill', '--pause'], 1);
  await json(['backfill', '--target', 'customers']);
  await json(['validate', '--target', 'nothing'], 2);
  await json(['completion', 'bash']);
  const scratch = mkdtempSync(join(tmpdir(), 'lockstep-json-'));
  try {
    for (const args of [
      ['new', join(scratch, 'mine')],
      ['check', join(scratch, 'mine')],
    ]) {
      const { code, stdout } = await lockstep([...args, '--json']);
      expect(code, stdout).toBe(0);
      for (const answer of answersIn(stdout)) seen.add(checkAnswer(answer));
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
  await begin(['dashboard']).event('ready');
  await begin(['apply']).event('applying');
  await json(['wait']);
  for (const event of terminal.seen()) seen.add(event);
  // Given by a listener that is running when the migration is completed: test/complete/afterwards.test.ts checks it.
  expect(Object.keys(answers).filter((event) => !seen.has(event as EventName))).toEqual(['listening-ended']);
});
