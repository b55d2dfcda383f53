import { z } from 'zod';
import { answer, count, direction, keys } from './parts.ts';

const finding = z.object({
  rule: z.string().describe('fixed; docs/your-own-migration.md lists all'),
  direction,
  subject: z.string().describe('what it is about, such as `target orders`'),
  found: z.string().describe('what was seen, with an example'),
  reason: z.string().describe('why it matters'),
  fix: z.string(),
});

const tableSize = z.object({
  name: z.string(),
  table: z.string(),
  rows: count,
  counted: z.boolean().describe("false: by the server's statistics"),
  bytes: count,
  changesPerDay: count.nullable().describe('null: the server has no statistics'),
});

const preflightFinding = z.object({
  level: z.enum(['blocker', 'warning']).describe('blocker: the migration cannot start'),
  about: z.string().describe('the setting, table or right'),
  found: z.string(),
  fix: z.string(),
});

const sqs = z.object({
  changesPerDay: count.nullable(),
  requestsPerDayAtMost: z.number().nullable().describe('when every change is sent alone'),
  requestsPerMillionInBulk: count.describe('requests for a million changes that come together'),
  idleRequestsPerDay: count,
  dollarsPerMonthAtMost: z.number().nullable(),
  arithmetic: z.array(z.string()),
  price: z.object({ perMillionRequests: z.number().describe('US dollars'), source: z.string() }),
});

export const preparing = {
  written: answer('written', 'A migration folder has been written.', {
    folder: z.string(),
    name: z.string().describe("the migration's"),
    files: z.array(z.string()),
  }),
  checked: answer('checked', 'What is wrong with a migration folder.', {
    migration: z.string(),
    folder: z.string(),
    findings: z.array(finding),
    rehearsed: z
      .object({ forward: count.optional(), reverse: count.optional() })
      .describe('by direction, the random transactions that changed what a view says'),
  }),
  plan: answer('plan', 'What a migration will do to a database, and what stands in its way.', {
    migration: z.string(),
    database: z.string(),
    migrated: z.boolean().describe('whether `migrate` has been run; before, nothing can be said of the data'),
    preflight: z.array(preflightFinding),
    sources: z.array(tableSize),
    targets: z.array(tableSize),
    listings: z.array(
      z.object({
        title: z.string(),
        rows: count.nullable().describe('null: not counted in time'),
        examples: z.array(z.record(z.string(), z.unknown())),
      }),
    ),
    refusals: z
      .array(z.object({ target: z.string(), constraint: z.string(), what: z.string(), rows: count, examples: keys }))
      .describe('rows that the targets would refuse, and that would be quarantined'),
    unanswered: z.array(z.string()).describe('questions that took longer than --timeout'),
    samples: z.array(
      z.object({ target: z.string(), scopes: count, sampledScopes: count, sampledRows: count, sampledMs: z.number() }),
    ),
    backfill: z
      .object({
        targets: z.array(z.object({ target: z.string(), scopes: count, rows: count, seconds: z.number() })),
        seconds: z.number(),
        writeFactor: z.number(),
      })
      .nullable(),
    sqs,
    connections: z.object({
      appliers: count,
      needed: count,
      arithmetic: z.string(),
      free: count,
      max: count,
    }),
    locks: z.object({ capacity: count, needed: count, fits: z.boolean() }),
  }),
  migrated: answer('migrated', 'Numbered SQL has been applied.', {
    steps: z.array(z.object({ owner: z.string().describe('`engine`, or the migration'), name: z.string() })),
    publication: z.enum(['created', 'altered', 'unchanged', 'dropped']),
  }),
  completion: answer('completion', 'A completion script for a shell.', {
    shell: z.enum(['bash', 'zsh']),
    script: z.string(),
  }),
};
