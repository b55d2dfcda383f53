import { z } from 'zod';
import { answer, backfillProgress, count, quarantineGroup } from './parts.ts';

const traffic = z.object({
  transactions: count.describe('committed'),
  changes: count.describe('rows changed by them'),
  rolledBack: count,
  errors: count,
});

export const machine = {
  ready: answer(
    'ready',
    '`dev`: everything is up. `dashboard`: the page is served; then there is `dashboardUrl` only.',
    {
      databaseUrl: z.string().optional(),
      queueUrl: z.string().optional(),
      endpoint: z.string().optional().describe("the queue's"),
      dashboardUrl: z.string(),
    },
  ),
  progress: answer('progress', 'What `dev` is doing, each second.', {
    lagSeconds: z.number(),
    inFlight: count.describe('messages'),
    backfill: z.array(backfillProgress),
    legacy: traffic.nullable().describe('null: no traffic of ours'),
    messagesSent: count,
  }),
  summary: answer('summary', 'How `dev --duration` went.', {
    legacy: traffic,
    messages: z.object({ sent: count, requests: count }),
    merges: z.object({ scopes: count, rowsWritten: count, backfillRowsWritten: count }),
    lagMs: z
      .object({ p50: z.number().nullable(), p99: z.number().nullable() })
      .describe('from commit to applied; null: nothing was sent'),
    targets: z.array(
      z.object({
        target: z.string(),
        compared: count,
        drift: count.describe('rows that are not what they should be, and cannot be explained'),
        quarantinedScopes: count,
      }),
    ),
    quarantine: z.array(quarantineGroup),
    agrees: z.boolean(),
    reasons: z.array(z.string()).describe('why it does not agree, or cannot be said to'),
  }),
  error: answer('error', 'Any command that could not do what was asked; on stderr.', {
    code: z.string().describe('docs/errors.md has all of them'),
    message: z.string().describe('what happened, and to what'),
    meaning: z.string().describe('what it means for the data'),
    retry: z
      .enum(['by itself', 'later', 'once mended'])
      .describe('whether repeating helps; docs/errors.md explains the three'),
    remedy: z.string(),
  }),
};
