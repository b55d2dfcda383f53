/**
 * By event, the version of its schema; each answer carries it. A field may be added under the same version; one that is
 * removed, or comes to mean something else, raises it. The schemas are loaded by tests and docs only.
 */
export const answerVersions = {
  error: 1,
  ready: 1,
  progress: 1,
  summary: 1,
  written: 1,
  checked: 1,
  plan: 1,
  migrated: 1,
  capturing: 1,
  'listening-ended': 1,
  applying: 1,
  backfill: 1,
  'backfill-ended': 1,
  paused: 1,
  status: 1,
  wait: 1,
  validated: 1,
  retried: 1,
  armed: 1,
  cutover: 1,
  rollback: 1,
  'rollback-plan': 1,
  'rollback-sync': 1,
  complete: 1,
  restored: 1,
  completion: 1,
} as const;

export type EventName = keyof typeof answerVersions;
