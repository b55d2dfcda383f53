import type pg from 'pg';
import { publicationName, slotName } from '../capture/names.ts';
import { publicationDeparture, readPublication } from '../capture/publication.ts';
import { readSlot } from '../capture/slot.ts';
import { flawInSource, readSourceFacts } from '../capture/sources.ts';
import { LockstepError } from '../errors.ts';
import { nameOf } from '../identifiers.ts';
import type { Migration } from '../migration/contract.ts';
import { type LoadedDirection, loadDirection } from '../migration/load.ts';
import { sqlState } from '../sqlstate.ts';
import { type Queryable, textRows } from '../text-query.ts';
import {
  type BackfillEstimate,
  type ConnectionEstimate,
  estimateBackfill,
  estimateConnections,
  estimateSqs,
  type SqsEstimate,
  type SqsPrice,
} from './estimate.ts';
import { blockerOf, lockBudgetOf, type PreflightFinding, preflight } from './preflight.ts';
import { type Refusal, readRefusals } from './refusals.ts';
import { readPlanServer } from './server.ts';
import { measure, readTableSize, rowCounter, type Sample, type TableSize } from './tables.ts';

export interface PlanOptions {
  readonly pool: pg.Pool;
  readonly migration: Migration;
  readonly concurrency: number;
  readonly price: SqsPrice;
  readonly writeFactor: number;
  /** Scopes of each target that are derived to measure how long that takes. */
  readonly sampleScopes: number;
  /** How long a question about the data may take; what takes longer is left out, and said. */
  readonly statementTimeoutMs: number;
  /** Told what is being read, for people who wait. */
  readonly onStep?: (text: string) => void;
}

export interface Listing {
  readonly title: string;
  /** Null: the question took too long. */
  readonly rows: number | null;
  readonly examples: readonly Readonly<Record<string, unknown>>[];
}

export interface Plan {
  readonly migration: string;
  readonly database: string;
  /** Whether `lockstep migrate` has been run: without the views nothing can be said of the data. */
  readonly migrated: boolean;
  readonly preflight: readonly PreflightFinding[];
  readonly sources: readonly TableSize[];
  readonly targets: readonly TableSize[];
  readonly listings: readonly Listing[];
  readonly refusals: readonly Refusal[];
  /** Questions that took too long. */
  readonly unanswered: readonly string[];
  readonly samples: readonly Sample[];
  readonly backfill: {
    readonly targets: readonly BackfillEstimate[];
    readonly seconds: number;
    readonly writeFactor: number;
  } | null;
  readonly sqs: SqsEstimate;
  readonly connections: ConnectionEstimate & { readonly free: number; readonly max: number };
  readonly locks: { readonly capacity: number; readonly needed: number; readonly fits: boolean };
}

/**
 * What a migration will do to this database, and what stands in its way. Reads in one transaction that is READ ONLY, so
 * that the server itself refuses any change.
 *
 * @throws LockstepError LS_SOURCE_MISSING when a source table is not in this database.
 */
export async function plan(options: PlanOptions): Promise<Plan> {
  const client = await options.pool.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await client.query(
      `SET LOCAL statement_timeout = ${Math.round(options.statementTimeoutMs)}; SET LOCAL lock_timeout = '1s'`,
    );
    const result = await read(client, options);
    await client.query('ROLLBACK');
    client.release();
    return result;
  } catch (error) {
    client.release(true);
    throw error;
  }
}

async function read(client: pg.ClientBase, options: PlanOptions): Promise<Plan> {
  const { migration, concurrency, price, onStep = () => {} } = options;
  const { forward } = migration;
  onStep('the server');
  const server = await readPlanServer(client);
  const slot = await readSlot(client, slotName('forward', server.database));
  const connections = estimateConnections(concurrency);
  const findings = preflight(server, { concurrency, connections: connections.needed, hasSlot: slot !== undefined });
  const sources: TableSize[] = [];
  for (const source of forward.sources) {
    onStep(`source ${source.name}`);
    const flaw = flawInSource(source, await readSourceFacts(client, source));
    if (flaw?.code === 'LS_SOURCE_MISSING') throw flaw;
    if (flaw) findings.push(blockerOf(`source ${source.name}`, flaw));
    sources.push(await readTableSize(client, source.name, source.relation));
  }
  const loaded = await loadIfMigrated(client, migration);
  if (loaded) findings.push(...(await judgePublication(client, migration)));
  const data = loaded ? await readData(client, loaded, options) : nothing;
  const targets = data.samples.map((sample) => estimateBackfill(sample, options.writeFactor));
  return {
    migration: migration.name,
    database: server.database,
    migrated: loaded !== undefined,
    preflight: findings,
    sources,
    ...data,
    backfill: loaded
      ? { targets, seconds: targets.reduce((sum, { seconds }) => sum + seconds, 0), writeFactor: options.writeFactor }
      : null,
    sqs: estimateSqs(sources, price),
    connections: { ...connections, free: server.connections.free, max: Number(server.settings.max_connections) },
    locks: lockBudgetOf(server.settings, concurrency),
  };
}

type Data = Pick<Plan, 'targets' | 'listings' | 'refusals' | 'unanswered' | 'samples'>;

const nothing: Data = { targets: [], listings: [], refusals: [], unanswered: [], samples: [] };

/** Undefined before `lockstep migrate`. */
async function loadIfMigrated(client: pg.ClientBase, { forward }: Migration): Promise<LoadedDirection | undefined> {
  const views = forward.targets.map(({ view }) => nameOf(view));
  const [found] = await textRows<{ missing: string }>(
    client,
    `SELECT count(*) AS missing FROM unnest($1::text[]) AS wanted (name)
     WHERE NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname || '.' || c.relname = wanted.name)`,
    [views],
  );
  return Number(found?.missing) > 0 ? undefined : await loadDirection(client, 'forward', forward);
}

async function judgePublication(db: Queryable, { forward }: Migration): Promise<PreflightFinding[]> {
  const name = publicationName('forward');
  const facts = await readPublication(db, name);
  const departure = facts && publicationDeparture(facts, forward.sources);
  if (facts && departure === undefined) return [];
  const [code, found] = facts
    ? (['LS_PUBLICATION_DIFFERS', `It is not what the migration declares: ${departure}.`] as const)
    : (['LS_PUBLICATION_MISSING', 'It does not exist.'] as const);
  return [blockerOf(`publication ${name}`, new LockstepError(code, found))];
}

async function readData(client: pg.ClientBase, loaded: LoadedDirection, options: PlanOptions): Promise<Data> {
  const { onStep = () => {}, sampleScopes } = options;
  const rowsOf = rowCounter(client);
  const unanswered: string[] = [];
  const targets: TableSize[] = [];
  const samples: Sample[] = [];
  for (const target of loaded.targets) {
    onStep(`target ${target.name}`);
    targets.push(await readTableSize(client, target.name, target.relation));
    const sample = await inTime(client, () => measure(client, target, rowsOf, sampleScopes));
    if (sample) samples.push(sample);
    else unanswered.push(`how fast the view of ${target.name} answers`);
  }
  const listings: Listing[] = [];
  for (const [title, sql] of Object.entries(loaded.checks.listings ?? {})) {
    onStep(title);
    listings.push((await inTime(client, () => readListing(client, title, sql))) ?? { title, rows: null, examples: [] });
  }
  const refusals: Refusal[] = [];
  for (const target of loaded.targets) {
    onStep(`what ${target.name} would refuse`);
    const found = await inTime(client, () => readRefusals(client, loaded, target));
    if (found) refusals.push(...found);
    else unanswered.push(`which rows ${target.name} would refuse`);
  }
  return { targets, listings, refusals, unanswered, samples };
}

const shownExamples = 5;

async function readListing(db: Queryable, title: string, sql: string): Promise<Listing> {
  const [counted] = await textRows<{ rows: string }>(db, `SELECT count(*) AS rows FROM (${sql}) l`);
  const rows = Number(counted?.rows ?? 0);
  const examples = await textRows<{ row: string }>(
    db,
    `SELECT to_jsonb(l) AS row FROM (${sql}) l LIMIT ${shownExamples}`,
  );
  return { title, rows, examples: examples.map(({ row }) => JSON.parse(row) as Record<string, unknown>) };
}

/** What `work` answers; undefined when the server has cancelled it because it took too long. */
async function inTime<T>(client: pg.ClientBase, work: () => Promise<T>): Promise<T | undefined> {
  await client.query('SAVEPOINT question');
  try {
    const answer = await work();
    await client.query('RELEASE SAVEPOINT question');
    return answer;
  } catch (error) {
    if (sqlState(error) !== '57014') throw error;
    await client.query('ROLLBACK TO SAVEPOINT question');
    return undefined;
  }
}
