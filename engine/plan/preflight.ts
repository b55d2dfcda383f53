import { defaultLimits, lockBudget } from '../apply/limits.ts';
import { type ErrorCode, errorCatalogue, type LockstepError } from '../errors.ts';
import { lockTimeoutMs } from '../merge/transaction.ts';
import type { PlanServer } from './server.ts';

/** `blocker`: the migration cannot start. `warning`: it can, and this is likely to hurt. */
export interface PreflightFinding {
  readonly level: 'blocker' | 'warning';
  /** The setting, table or right that it is about. */
  readonly about: string;
  readonly found: string;
  readonly fix: string;
}

export interface PreflightRequest {
  /** Appliers at once. */
  readonly concurrency: number;
  /** Connections that all parts of Lockstep may open together. */
  readonly connections: number;
  /** Whether the listener has its slot already. */
  readonly hasSlot: boolean;
}

/** An error that a command would raise, told before. */
export function blockerOf(about: string, { code, message }: LockstepError): PreflightFinding {
  return { level: 'blocker', about, found: message, fix: errorCatalogue[code].remedy };
}

function blocker(about: string, found: string, code: ErrorCode): PreflightFinding {
  return { level: 'blocker', about, found, fix: errorCatalogue[code].remedy };
}

function warning(about: string, found: string, fix: string): PreflightFinding {
  return { level: 'warning', about, found, fix };
}

/** Fewer than these many megabytes of WAL are soon written while a listener is away. */
const smallWalKeepMb = 1024;

/** `512MB`, `10GB`, `-1` as PostgreSQL prints them. */
export function megabytes(setting: string): number {
  const [, number = '0', unit = 'MB'] = /^(-?\d+)\s*(kB|MB|GB|TB)?$/.exec(setting) ?? [];
  return Number(number) * { kB: 1 / 1024, MB: 1, GB: 1024, TB: 1024 ** 2 }[unit as 'kB' | 'MB' | 'GB' | 'TB'];
}

function milliseconds(setting: string): number {
  const [, number = '0', unit = 'ms'] = /^(\d+)\s*(ms|s|min)?$/.exec(setting) ?? [];
  return Number(number) * { ms: 1, s: 1000, min: 60_000 }[unit as 'ms' | 's' | 'min'];
}

/** What of the server stands in the way, or will: each with its fix. Sources are judged elsewhere. */
export function preflight(server: PlanServer, request: PreflightRequest): PreflightFinding[] {
  return [...judgeReplication(server, request), ...judgeRights(server), ...judgeBudget(server, request)];
}

function judgeReplication(server: PlanServer, { hasSlot }: PreflightRequest): PreflightFinding[] {
  const { settings, slots, senders } = server;
  const findings: PreflightFinding[] = [];
  if (server.version < 15)
    findings.push(blocker('server', `The server is PostgreSQL ${server.version}.`, 'LS_SERVER_VERSION'));
  if (server.inRecovery)
    findings.push(blocker('server', 'The server is in recovery (a read replica).', 'LS_READ_REPLICA'));
  if (settings.wal_level !== 'logical') {
    findings.push(blocker('wal_level', `wal_level is "${settings.wal_level}".`, 'LS_WAL_LEVEL'));
  }
  if (!hasSlot && slots.free < 1) {
    const found = `All ${settings.max_replication_slots} replication slots are taken.`;
    findings.push(blocker('max_replication_slots', found, 'LS_SLOTS_EXHAUSTED'));
  }
  if (!hasSlot && senders.free < 1) {
    const found = `All ${settings.max_wal_senders} WAL senders are in use.`;
    findings.push(blocker('max_wal_senders', found, 'LS_WAL_SENDERS_EXHAUSTED'));
  } else if (!hasSlot && senders.free < 2) {
    const found =
      'One WAL sender is free: a standby listener, or a restart while the old connection lingers, needs a second.';
    findings.push(warning('max_wal_senders', found, 'Raise max_wal_senders (a restart).'));
  }
  const keep = megabytes(settings.max_slot_wal_keep_size);
  if (keep < 0) {
    const fix =
      'Set max_slot_wal_keep_size (a reload) to what the disk can spare: then a slot that is not read is lost, and its data derived anew, before the disk is full.';
    findings.push(
      warning(
        'max_slot_wal_keep_size',
        'It is not set: while no listener runs, WAL piles up until the disk is full.',
        fix,
      ),
    );
  } else if (keep < smallWalKeepMb) {
    const found = `It is ${settings.max_slot_wal_keep_size}: a listener that is away while so much WAL is written loses its slot, and everything is derived again.`;
    findings.push(warning('max_slot_wal_keep_size', found, 'Raise it (a reload), as far as the disk allows.'));
  }
  const holders = [
    ...server.longTransactions,
    ...server.preparedTransactions.map((prepared) => `prepared transaction ${prepared}`),
  ];
  if (!hasSlot && holders.length > 0) {
    const found = `The slot cannot be made before these transactions end: ${holders.slice(0, 5).join('; ')}.`;
    findings.push(warning('long transactions', found, errorCatalogue.LS_SLOT_BLOCKED.remedy));
  }
  return findings;
}

function judgeRights({ user, database, mayReplicate, mayCreateSchema }: PlanServer): PreflightFinding[] {
  const findings: PreflightFinding[] = [];
  if (!mayReplicate) {
    const fix = `${errorCatalogue.LS_REPLICATION_PRIVILEGE.remedy} Only the listener needs it: sql/roles.sql makes a role for it.`;
    findings.push(warning('REPLICATION', `Role "${user}" may not replicate, so it cannot run the listener.`, fix));
  }
  if (!mayCreateSchema) {
    const fix = `Run \`lockstep migrate\` as the owner of the tables, or GRANT CREATE ON DATABASE "${database}" TO "${user}".`;
    findings.push(
      warning(
        'CREATE',
        `Role "${user}" may not create schemas in "${database}", so it cannot run \`lockstep migrate\`.`,
        fix,
      ),
    );
  }
  return findings;
}

function judgeBudget({ settings, connections }: PlanServer, request: PreflightRequest): PreflightFinding[] {
  const findings: PreflightFinding[] = [];
  const budget = lockBudgetOf(settings, request.concurrency);
  if (!budget.fits) {
    const found = `${request.concurrency} appliers may take ${budget.needed} locks; the lock table holds ${budget.capacity}, of which Lockstep uses at most 80 %.`;
    findings.push(blocker('max_locks_per_transaction', found, 'LS_LOCK_BUDGET'));
  }
  if (connections.free < request.connections) {
    const found = `Lockstep opens up to ${request.connections} connections; ${connections.free} of ${settings.max_connections} are free at the moment.`;
    findings.push(
      warning(
        'max_connections',
        found,
        'Lower the concurrency (--concurrency here, apply.concurrency in the deployment), or raise max_connections (a restart).',
      ),
    );
  }
  const deadlockMs = milliseconds(settings.deadlock_timeout);
  if (deadlockMs <= lockTimeoutMs) {
    const found = `It is ${settings.deadlock_timeout}: the server could pick the application as a deadlock's victim before a merge gives way (after ${lockTimeoutMs} ms).`;
    findings.push(warning('deadlock_timeout', found, 'Set it to 1 s, its default (a reload).'));
  }
  return findings;
}

export function lockBudgetOf(settings: PlanServer['settings'], concurrency: number) {
  const server = {
    maxLocksPerTransaction: Number(settings.max_locks_per_transaction),
    maxConnections: Number(settings.max_connections),
    maxPreparedTransactions: Number(settings.max_prepared_transactions),
  };
  return lockBudget(server, concurrency, defaultLimits);
}
