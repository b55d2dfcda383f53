import { z } from 'zod';
import { answerVersions, type EventName } from './versions.ts';

/** One answer of a command: `event` says which it is. */
export function answer<Event extends EventName, Shape extends z.ZodRawShape>(
  event: Event,
  about: string,
  shape: Shape,
) {
  return z
    .object({ event: z.literal(event), version: z.literal(answerVersions[event]), ...shape })
    .meta({ title: event, description: about });
}

export const count = z.number().int();
export const lsn = z.string().describe('position in the WAL, as PostgreSQL prints it');
export const direction = z
  .enum(['forward', 'reverse'])
  .describe('forward: legacy is the truth; reverse: the normalized tables are');
export const phase = z.enum(['forward', 'reverse', 'complete']);
const key = z.array(z.string());
export const keys = z.array(key).describe('keys of some of them, each a list of texts');

export const quarantineGroup = z.object({
  target: z.string(),
  sqlState: z.string(),
  scopes: count,
  message: z.string().describe('what the server said of the one that failed last'),
});

export const backfillProgress = z.object({
  id: z.string().describe('of the run'),
  reason: z.string(),
  requestedAt: z.string(),
  finishedAt: z.string().nullable().describe('of the run; null while it is under way'),
  paused: z.boolean(),
  target: z.string(),
  scopesDone: count.describe('about: counted in every table that the walk goes through'),
  scopesEstimated: count.describe('the same, from the statistics of those tables'),
  rowsWritten: count,
  startedAt: z.string().nullable().describe('of this target'),
  targetFinishedAt: z.string().nullable(),
});

export const refusal = z.object({
  name: z.string().describe('fixed; docs/cutover.md and docs/complete.md explain each'),
  reason: z.string(),
  remedy: z.string(),
});

export const loss = z.object({
  target: z.string().describe('of the forward direction'),
  column: z.string().nullable().describe('null: the whole row'),
  reason: z.string(),
  rows: count,
  examples: keys,
});
export const losses = z.array(loss).describe('what the legacy tables have no place for');
