import type { ClientBase } from 'pg';
import type { StepFile } from './folder.ts';

/** What the database remembers of a step. */
export interface StepRecord {
  readonly owner: string;
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
  /** The text that was applied: it shows what an edit has changed. */
  readonly body: string;
  /** Outside of a transaction: the last statement that was begun, from 1; those before it are done. */
  readonly statementsBegun: number;
  readonly applied: boolean;
}

const createTable = `
  CREATE SCHEMA IF NOT EXISTS lockstep;
  CREATE TABLE IF NOT EXISTS lockstep.step (
    owner text NOT NULL,
    name text NOT NULL,
    number integer NOT NULL,
    checksum text NOT NULL,
    body text NOT NULL,
    statements_begun integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_at timestamptz,
    duration_ms double precision,
    PRIMARY KEY (owner, name)
  )`;

/** Creates the table of steps where it is missing. The one part of the engine's schema that no step can create. */
export async function ensureStepTable(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ present: boolean }>(
    `SELECT to_regclass('lockstep.step') IS NOT NULL AS present`,
  );
  if (!rows[0]?.present) await client.query(createTable);
}

export async function readRecords(client: ClientBase): Promise<StepRecord[]> {
  const { rows } = await client.query<StepRecord>(`
    SELECT owner, number, name, checksum, body,
           statements_begun AS "statementsBegun", applied_at IS NOT NULL AS applied
      FROM lockstep.step ORDER BY owner, number`);
  return rows;
}

/** Notes that statement `begun` (from 1) of a step is about to run. */
export async function recordBegun(client: ClientBase, step: StepFile, begun: number): Promise<void> {
  await client.query(
    `INSERT INTO lockstep.step (owner, name, number, checksum, body, statements_begun) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (owner, name) DO UPDATE
       SET checksum = excluded.checksum, body = excluded.body, statements_begun = excluded.statements_begun`,
    [step.owner, step.name, step.number, step.checksum, step.text, begun],
  );
}

/** Notes that a step is applied; `durationMs` is its last run. */
export async function recordApplied(client: ClientBase, step: StepFile, durationMs: number): Promise<void> {
  await client.query(
    `INSERT INTO lockstep.step (owner, name, number, checksum, body, statements_begun, applied_at, duration_ms)
     VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), $7)
     ON CONFLICT (owner, name) DO UPDATE
       SET statements_begun = excluded.statements_begun, applied_at = excluded.applied_at, duration_ms = excluded.duration_ms`,
    [step.owner, step.name, step.number, step.checksum, step.text, step.statements.length, durationMs],
  );
}
