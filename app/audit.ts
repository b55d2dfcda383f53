import { z } from 'zod';
import type { Sql } from './sql.ts';

export interface AuditEvent {
  /** Null: nobody in particular. */
  readonly userId: string | null;
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId?: string | null;
  readonly changes?: unknown;
  readonly metadata?: unknown;
}

export const auditSql = 'SELECT public.log_audit_event($1, $2, $3, $4, $5::jsonb, $6::jsonb) AS id';

/** Writes one audit event (log_audit_event) and answers its id. audit_logs is new: it is on one side only. */
export async function logAuditEvent(sql: Sql, event: AuditEvent): Promise<string> {
  const { userId, action, resourceType, resourceId = null, changes, metadata = {} } = event;
  const values = [userId, action, resourceType, resourceId, changes === undefined ? null : JSON.stringify(changes)];
  const row = await sql.row(z.strictObject({ id: z.string() }), auditSql, [...values, JSON.stringify(metadata)]);
  return row?.id ?? '';
}
