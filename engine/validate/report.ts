import { z } from 'zod';

/**
 * What a validation answers: `lockstep validate --json`, the functions' report.json and the page are made of it. A field
 * may be added under the same version; one that is removed or means something else raises it. docs/report.md explains
 * each.
 */
export const reportVersion = 1;

const scope = z.array(z.string());
const columnDifference = z.object({ expected: z.string().nullable(), present: z.string().nullable() });

const driftRow = z.object({
  kind: z.enum(['missing', 'extra', 'different']),
  key: z.record(z.string(), z.string()),
  scope,
  foundInScope: scope.optional(),
  columns: z.record(z.string(), columnDifference),
  quarantined: z.boolean(),
  reason: z.string(),
  firstSeenAt: z.iso.datetime(),
  lastSeenAt: z.iso.datetime(),
  repairedAt: z.iso.datetime().nullable(),
});

const quarantinedScope = z.object({
  scope,
  sqlState: z.string(),
  message: z.string(),
  detail: z.string().nullable(),
  firstFailedAt: z.string(),
  lastFailedAt: z.string(),
  attempts: z.number().int(),
});

const targetReport = z.object({
  target: z.string(),
  table: z.string(),
  view: z.string(),
  complete: z.boolean(),
  compared: z.number().int(),
  expected: z.number().int(),
  present: z.number().int(),
  missing: z.number().int(),
  extra: z.number().int(),
  different: z.number().int(),
  repaired: z.number().int(),
  drift: z.array(driftRow),
  unsettled: z.object({ scopes: z.number().int(), examples: z.array(scope) }),
  quarantined: z.object({
    scopes: z.number().int(),
    differingRows: z.number().int(),
    examples: z.array(quarantinedScope),
    rows: z.array(driftRow),
  }),
});

const checkResult = z.object({
  level: z.enum(['counts', 'rules']),
  name: z.string(),
  outcome: z.enum(['pass', 'fail', 'moving']),
  values: z.record(z.string(), z.string().nullable()),
});

const repair = z.object({
  outcome: z.enum(['done', 'fenced', 'out of time']),
  rows: z.number().int(),
  scopes: z.number().int(),
  inserted: z.number().int(),
  updated: z.number().int(),
  deleted: z.number().int(),
  quarantined: z.number().int(),
});

const listing = z.object({
  title: z.string(),
  rows: z.number().int(),
  columns: z.array(z.string()),
  examples: z.array(z.array(z.string().nullable())),
});

const pastRun = z.object({
  run: z.uuid(),
  startedAt: z.iso.datetime(),
  verdict: z.enum(['agrees', 'differs', 'unproven']).nullable(),
  compared: z.number().int(),
  drift: z.number().int(),
  quarantinedRows: z.number().int(),
  lagMs: z.number().nullable(),
  spentMs: z.number(),
});

export const reportSchema = z.object({
  version: z.literal(reportVersion),
  run: z.uuid(),
  direction: z.enum(['forward', 'reverse']),
  startedAt: z.iso.datetime(),
  /** Null: there is more to compare. */
  finishedAt: z.iso.datetime().nullable(),
  agrees: z.boolean(),
  verdict: z.enum(['agrees', 'differs', 'unproven']),
  reasons: z.array(z.string()),
  complete: z.boolean(),
  samplePercent: z.number().nullable(),
  invocations: z.number().int(),
  spentMs: z.number(),
  lag: z.object({ applied: z.boolean(), barrierMs: z.number().nullable() }),
  targets: z.array(targetReport),
  checks: z.array(checkResult),
  repair: repair.nullable(),
  listings: z.array(listing),
  trend: z.array(pastRun),
});

export type ValidationReport = z.infer<typeof reportSchema>;
export type TargetReport = z.infer<typeof targetReport>;
export type DriftRow = z.infer<typeof driftRow>;
export type CheckResult = z.infer<typeof checkResult>;
export type Repair = z.infer<typeof repair>;
export type Listing = z.infer<typeof listing>;
export type PastRun = z.infer<typeof pastRun>;
export type Verdict = ValidationReport['verdict'];
