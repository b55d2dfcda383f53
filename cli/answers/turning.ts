import { z } from 'zod';
import { reportSchema } from '../../engine/validate/report.ts';
import { answer, count, direction, keys, losses, lsn, refusal } from './parts.ts';

const departures = z
  .array(
    z.object({
      target: z.string(),
      kind: z.enum(['extra', 'missing', 'different']),
      column: z.string().nullable().describe('null: the whole row'),
      rows: count,
      examples: keys,
    }),
  )
  .describe('legacy rows that the way back would delete (extra), add (missing) or change (different) now');

const outcomes = {
  phase: direction.optional().describe('with switched and already'),
  pauseMs: z
    .number()
    .nullable()
    .optional()
    .describe('how long writers waited; with switched, already (null: unknown) and aborted'),
  scopesCompared: count.optional().describe('while writers waited; with switched'),
  attempts: count.optional().describe('how often the locks were asked for; with switched and aborted'),
  changedAt: z.string().optional().describe('with already'),
  refusals: z.array(refusal).optional().describe('every reason; with refused and aborted'),
  scopesLeft: count.optional().describe('with continue'),
};
const outcome = z
  .enum(['switched', 'already', 'refused', 'aborted', 'possible', 'continue'])
  .describe(
    'already: an earlier call has done it; refused: nothing was locked; aborted: begun and rolled back, nothing has changed; possible: with --dry-run, nothing is against it; continue: the time was up while comparing, call again',
  );

export const turning = {
  armed: answer('armed', 'The way back is prepared.', {
    captured: z.boolean().describe('whether a listener captures it'),
    departures,
    losses,
  }),
  cutover: answer('cutover', 'What became of a cutover.', { outcome, ...outcomes }),
  rollback: answer('rollback', 'What became of a rollback (`lockstep rollback switch`).', { outcome, ...outcomes }),
  'rollback-plan': answer('rollback-plan', 'What the way back would write, and what it cannot carry.', {
    departures,
    losses,
  }),
  'rollback-sync': answer('rollback-sync', 'Whether the legacy tables are up to date.', {
    outcome: z
      .enum(['synced', 'continue', 'paused', 'fenced'])
      .describe('continue: the time was up, call again; fenced: the direction has changed meanwhile'),
    run: z.string().nullable().describe('the derivation that this call has gone on with'),
    lsn: lsn.nullable(),
  }),
  complete: answer('complete', 'What became of the completion.', {
    outcome: z.enum(['refused', 'complete']).describe('refused: nothing was dropped'),
    refusals: z.array(refusal).optional().describe('with refused'),
    report: reportSchema.nullable().optional().describe('the final validation, if it came to that; with refused'),
    steps: z.array(z.string()).optional().describe('numbered SQL that was applied; with complete'),
    leftovers: z
      .array(z.object({ name: z.string(), reason: z.string() }))
      .optional()
      .describe('slots that could not be dropped, call again; with complete'),
  }),
  restored: answer('restored', 'The legacy tables are back.', {
    fromBackup: z.boolean().describe('false: they had not been dropped yet'),
    backupAt: z.string().nullable(),
    derived: z
      .enum(['finished', 'paused', 'out of time', 'fenced'])
      .describe('whether what was written since the backup has been derived'),
    rowsDerived: z.record(z.string(), count).describe('by legacy table'),
    losses,
  }),
};
