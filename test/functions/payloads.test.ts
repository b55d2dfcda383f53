import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LockstepError } from '../../engine/errors.ts';
import { silent } from '../../engine/telemetry.ts';
import { buildApply } from '../../functions/apply/build.ts';
import { createCutoverHandler } from '../../functions/cutover/handler.ts';
import { asksToArm } from '../../functions/migrate/handler.ts';
import { createRollbackSyncHandler } from '../../functions/rollback-sync/handler.ts';
import { createValidateHandler } from '../../functions/validate/handler.ts';
import { migration } from '../../sql/migration.ts';
import { testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import { testQueue } from '../support/queue.ts';

/*
 * Whoever may invoke the functions may send anything. The database is a real one that has been migrated and not armed: a
 * payload that is understood is answered with a reason why not; every other one with LS_CONFIG, before anything is done.
 */
const invocation = { getRemainingTimeInMillis: () => 60_000 };
const longestMessage = 600;

/** As JSON has it, prototype keys included: what Lambda's runtime makes of an invocation. */
const json = (text: string): unknown => JSON.parse(text);
const huge = 'x'.repeat(6 * 1024 * 1024);
const odd: unknown[] = [
  undefined,
  0,
  -1,
  true,
  '',
  'cutover',
  [],
  [[]],
  huge,
  { [huge]: 1 },
  { change: huge },
  json('{"__proto__": {"change": "cutover", "arm": true}}'),
  json('{"constructor": {"prototype": {"polluted": true}}}'),
  json('{"toString": 1, "hasOwnProperty": 2, "safeParse": 3}'),
  { change: ['cutover'] },
  { change: 'Cutover' },
  { maxPauseMs: '5000' },
  { maxPauseMs: 1e308 },
  { maxPauseMs: Number.NaN },
  { maxPauseMs: -0 },
  { dryRun: 'false' },
  { dryRun: null },
  { all: 1 },
  { task: 'everything' },
  { task: ['rows'] },
  { Records: null },
  { Records: {} },
  { Records: [null] },
  { Records: [{}] },
  { Records: [{ messageId: 'm', receiptHandle: 'r', body: { version: 1 }, attributes: {} }] },
  { Records: [{ messageId: 'm', receiptHandle: 'r', body: 'x', attributes: null }] },
  { Records: huge },
];
const names = [
  'change',
  'dryRun',
  'maxPauseMs',
  'validatedWithinSeconds',
  'all',
  'task',
  'arm',
  'Records',
  '__proto__',
];
/** Objects of the fields that the functions know, with values that they do not. */
const payloads = fc.oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom(...names), fc.jsonValue()));

type Handler = (payload: unknown, invocation: { getRemainingTimeInMillis(): number }) => Promise<unknown>;

/** What a payload leads to: `refused` before anything was done, or `answered`. Everything else fails the test. */
async function outcomeOf(handler: Handler, payload: unknown, mayAlso: readonly string[] = []): Promise<string> {
  try {
    await handler(payload, invocation);
    return 'answered';
  } catch (error) {
    expect(error).toBeInstanceOf(LockstepError);
    const { code, message } = error as LockstepError;
    expect(message.length).toBeLessThan(longestMessage);
    expect(['LS_CONFIG', ...mayAlso]).toContain(code);
    return code === 'LS_CONFIG' ? 'refused' : 'answered';
  }
}

async function handlers() {
  await using started = new AsyncDisposableStack();
  const database = started.use(await testDatabase({ template: photomemory }));
  const queue = started.use(await testQueue());
  const { pool } = database;
  const parts = { pool, migration, telemetry: silent };
  const { sqs: client, queueUrl, deadLetterQueueUrl } = queue;
  const running = started.move();
  return {
    pool,
    cutover: createCutoverHandler({ ...parts, countDeadLetters: async () => 0 }) as Handler,
    rollbackSync: createRollbackSyncHandler(parts) as Handler,
    validate: createValidateHandler({ ...parts, reports: { put: async () => undefined } }) as Handler,
    apply: buildApply({ ...parts, client, queueUrl, deadLetterQueueUrl, concurrency: 1 }) as unknown as Handler,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

test('whatever a function is invoked with, it answers, or says in a line that it does not understand', {
  timeout: 300_000,
}, async () => {
  await using parts = await handlers();
  const { pool, cutover, rollbackSync, validate, apply } = parts;
  // Nothing was cut over, nobody listens: those are answers.
  const functions: [string, Handler, string[]][] = [
    ['cutover', cutover, []],
    ['rollback-sync', rollbackSync, ['LS_PHASE_REFUSED', 'LS_SLOT_MISSING']],
    ['validate', validate, ['LS_SLOT_MISSING']],
    ['apply', apply, []],
  ];
  const before = (await pool.query('SELECT * FROM lockstep.phase')).rows;
  for (const [name, handler, mayAlso] of functions) {
    const outcomes = new Map<string, number>();
    const note = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    for (const payload of odd) note(await outcomeOf(handler, payload, mayAlso));
    await fc.assert(
      fc.asyncProperty(payloads, async (payload) => void note(await outcomeOf(handler, payload, mayAlso))),
      { numRuns: 60 },
    );
    expect([name, outcomes.get('refused') ?? 0]).toEqual([name, expect.any(Number)]);
    expect(outcomes.get('refused') ?? 0, name).toBeGreaterThan(30);
  }
  expect((await pool.query('SELECT * FROM lockstep.phase')).rows).toEqual(before);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

test('only a payload that says so, in its own field, asks to arm', () => {
  expect(asksToArm({ arm: true })).toBe(true);
  for (const payload of [...odd, { arm: 'true' }, { arm: 1 }, Object.create({ arm: true })])
    expect(asksToArm(payload)).toBe(false);
  fc.assert(
    fc.property(payloads, (payload) => {
      const asked = asksToArm(payload);
      expect(asked).toBe(
        (payload as { arm?: unknown } | null)?.arm === true && Object.hasOwn(payload as object, 'arm'),
      );
    }),
  );
});
