import { z } from 'zod';
import { reportSchema } from '../../engine/validate/report.ts';
import { answer, backfillProgress, count, direction, lsn, phase, quarantineGroup } from './parts.ts';
import { answerVersions } from './versions.ts';

const slot = z.object({
  name: z.string(),
  active: z.boolean().describe('whether a listener is connected'),
  walStatus: z.enum(['reserved', 'extended', 'unreserved', 'lost']),
  confirmedLsn: lsn,
  retainedBytes: count.describe('WAL that the server keeps for the slot'),
  unconfirmedBytes: count.describe('WAL that has not been sent to the queue'),
  safeWalBytes: count.nullable().describe('WAL that may still be written before the slot can be lost; null: no limit'),
  invalidationReason: z.string().nullable().describe('why it was lost, from PostgreSQL 17 on'),
  secondsUntilLost: z.number().nullable().describe('at the present rate; only with --watch'),
});

const lastValidation = z.object({
  startedAt: z.string(),
  secondsAgo: z.number(),
  verdict: z.enum(['agrees', 'differs', 'unproven']).nullable().describe('null: there is more to compare'),
  rowsDrifted: count,
  whole: z.boolean().describe('whether all targets were asked for'),
  samplePercent: z.number().nullable().describe('null: all rows'),
});

export const running = {
  capturing: answer(
    'capturing',
    'The listener captures the changes of a direction; once for each, and after an outage.',
    {
      direction,
      queueUrl: z.string(),
    },
  ),
  'listening-ended': answer('listening-ended', 'The listener has ended by itself.', { reason: z.literal('complete') }),
  applying: answer('applying', 'The queue worker applies messages.', { queueUrl: z.string() }),
  backfill: answer('backfill', 'How far a backfill is, target by target; while it runs, again and again.', {
    targets: z.array(backfillProgress),
  }),
  'backfill-ended': answer('backfill-ended', 'How a backfill has ended.', {
    outcome: z
      .enum(['finished', 'paused', 'out of time', 'fenced'])
      .describe('out of time: stopped, the next one goes on; fenced: the other direction is active now'),
  }),
  paused: answer('paused', 'A backfill was paused.', { runs: count.describe('how many were under way') }),
  status: answer('status', 'Where a migration stands.', {
    phase,
    armed: z.boolean().describe('whether the way back is prepared'),
    direction,
    lag: z.object({
      bytes: count.nullable().describe('WAL that has not been sent to the queue'),
      seconds: z.number().describe('age of the oldest change that is not applied'),
    }),
    slot: slot.nullable(),
    listener: z.object({ seenSecondsAgo: z.number() }).nullable().describe('null: never seen'),
    inFlight: z.object({
      messages: count,
      keys: count.describe('rows that they name'),
      oldestLsn: lsn.nullable(),
      oldestAgeSeconds: z.number(),
    }),
    backfill: z.array(backfillProgress).describe('the newest run, target by target'),
    quarantine: z.array(quarantineGroup),
    validation: lastValidation.nullable().describe('the one of rows that was started last'),
    findings: z
      .array(z.object({ level: z.enum(['broken', 'attention']), text: z.string() }))
      .describe('what is wrong, worst first; broken: synchronization has stopped, or data is at risk'),
  }),
  wait: answer('wait', 'Whether everything that had been committed is applied.', {
    lsn,
    waitedMs: z.number(),
    applied: z.boolean(),
    captured: z.boolean().describe('whether the listener has sent it all'),
  }),
  validated: reportSchema
    .extend({ event: z.literal('validated'), version: z.literal(answerVersions.validated) })
    .meta({ title: 'validated', description: 'The validation report; docs/report.md explains each field.' }),
  retried: answer('retried', 'Quarantined scopes were merged again.', {
    tried: count,
    remaining: count.describe('scopes that are still in quarantine'),
    outcome: z.enum(['done', 'fenced', 'out of time']),
  }),
};
