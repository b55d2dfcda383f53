/**
 * Named places where a crash is dangerous. Tests (and chaos runs) hand in a function that throws, waits or kills the
 * process there; in production nothing is handed in.
 */
export type Failpoint =
  | 'listener.round-collected'
  | 'listener.ledger-written'
  | 'listener.messages-sent'
  | 'listener.position-confirmed'
  | 'apply.scopes-resolved'
  | 'apply.scopes-locked'
  | 'apply.before-commit'
  | 'apply.committed'
  | 'backfill.before-commit'
  | 'backfill.committed'
  | 'switch.prepared'
  | 'switch.locked'
  | 'switch.drained'
  | 'switch.turned'
  | 'switch.before-commit'
  | 'switch.committed'
  | 'complete.prepared'
  | 'complete.validated'
  | 'complete.phase-changed'
  | 'complete.dropped'
  | 'restore.before-commit'
  | 'restore.committed'
  | 'validate.compared'
  | 'validate.recorded';

export type Failpoints = (point: Failpoint) => Promise<void> | void;
