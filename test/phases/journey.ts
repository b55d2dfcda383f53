import type pg from 'pg';
import { expect } from 'vitest';
import { complete } from '../../engine/complete/complete.ts';
import { restore } from '../../engine/complete/restore.ts';
import { quoteRelation } from '../../engine/identifiers.ts';
import type { DirectionName, Migration } from '../../engine/migration/contract.ts';
import { loadDirection } from '../../engine/migration/load.ts';
import { arm } from '../../engine/phases/arm.ts';
import { changePhase } from '../../engine/phases/change.ts';
import { type SwitchOutcome, switchDirection } from '../../engine/phases/switch.ts';
import { type Phase, type PhaseChange, phaseAfter, refusalOf } from '../../engine/phases/transitions.ts';
import { readPhase } from '../../engine/status/phase.ts';
import { readStream } from '../../engine/status/queries.ts';
import { allSteps } from '../../engine/steps/migrate.ts';
import { ensureStepTable, recordApplied } from '../../engine/steps/record.ts';
import { silent } from '../../engine/telemetry.ts';
import { validate } from '../../engine/validate/validate.ts';
import { startApplying, startListening, stillWorld, type World } from '../e2e/world.ts';
import type { DatabaseTemplate } from '../support/database.ts';
import { differences } from '../support/differences.ts';
import { eventually } from '../support/eventually.ts';

/** A migration with a way back, and an application that uses it. */
export interface Traveller {
  readonly template: DatabaseTemplate;
  readonly migration: Migration;
  /** Where its numbered SQL is. */
  readonly folder: string;
  seed(app: pg.Client): Promise<void>;
  /** What the application writes in this round, to the side that is the truth; by something that both sides can hold. */
  readonly write: Readonly<Record<DirectionName, (app: pg.Client, round: number) => Promise<void>>>;
}

export const changes: readonly PhaseChange[] = ['cutover', 'rollback', 'completion', 'restoration'];

/** A migration on its way through the phases, everything running. Each stop compares both sides, and tries what is refused there. */
export interface Journey extends World {
  /** Each change that was made or refused so far: `forward cutover`. */
  readonly seen: ReadonlySet<string>;
  /** Makes a change that is allowed, and stops. */
  go(change: PhaseChange): Promise<void>;
  /** The application writes, and all of it is on the other side. */
  write(round: number): Promise<void>;
}

export async function startJourney({ template, migration, folder, seed, write }: Traveller): Promise<Journey> {
  await using started = new AsyncDisposableStack();
  const world = started.use(await stillWorld(template, migration));
  const { app, database } = world;
  const { pool } = database;
  const owner = await database.client();
  await ensureStepTable(owner);
  for (const step of await allSteps(migration, folder)) {
    if (step.phase === 'forward') await recordApplied(owner, step, 1);
  }
  await seed(app);
  started.use(await startApplying(world));
  started.use(await startListening(world));
  const seen = new Set<string>();
  const shared = { client: owner, pool, migration, folder, telemetry: silent };
  const captured = async () => {
    for (const direction of ['forward', 'reverse'] as const) {
      await eventually(async () => (await readStream(pool, direction)).slot?.active);
    }
  };
  const load = (direction: DirectionName) =>
    loadDirection(pool, direction, migration[direction] as Migration['forward']);
  const normalized = async () => {
    const rows: Record<string, unknown> = {};
    for (const { relation } of migration.forward.targets) {
      const text = `SELECT to_jsonb(t) AS row FROM ${quoteRelation(relation)} t ORDER BY to_jsonb(t)::text`;
      rows[relation.name] = (await pool.query(text)).rows;
    }
    return rows;
  };

  const compare = async () => {
    await world.settle();
    for (const direction of ['forward', 'reverse'] as const) {
      expect([direction, await differences(pool, await load(direction))]).toEqual([direction, {}]);
    }
    expect((await pool.query('SELECT FROM lockstep.quarantine')).rowCount).toBe(0);
  };
  const refuse = async (phase: Phase, change: PhaseChange) => {
    seen.add(`${phase} ${change}`);
    const refused = { code: 'LS_PHASE_REFUSED', message: refusalOf(phase, change) };
    const client = await database.client();
    await client.query('BEGIN');
    await expect(changePhase(client, change), `${phase} ${change}`).rejects.toMatchObject(refused);
    await client.end();
    const { rows } = await pool.query('SELECT change FROM lockstep.phase_change ORDER BY number DESC LIMIT 1');
    // Asked for once more, a change that was the last one is done, and says so.
    const again = rows[0]?.change === change;
    if (change === 'cutover' || change === 'rollback') {
      const outcome: Partial<SwitchOutcome> = again
        ? { outcome: 'already', phase: phase as DirectionName }
        : {
            outcome: 'refused',
            refusals: [{ name: 'wrong-phase', reason: refused.message, remedy: expect.any(String) }],
          };
      expect(await turn(change), `${phase} ${change}`).toMatchObject(outcome);
    } else if (change === 'restoration') await expect(restore(shared)).rejects.toMatchObject(refused);
    else if (again) expect(await complete(shared)).toEqual({ outcome: 'complete', steps: [], leftovers: [] });
    else await expect(complete(shared)).rejects.toMatchObject(refused);
  };
  const stop = async () => {
    const phase = await readPhase(pool);
    if (phase !== 'complete') await compare();
    for (const change of changes) {
      if (phaseAfter(phase, change) === undefined) await refuse(phase, change);
    }
    expect(await readPhase(pool)).toBe(phase);
  };
  const turn = (change: 'cutover' | 'rollback') =>
    switchDirection({ pool, migration, change, maxPauseMs: 20_000, deadLetters: 0, telemetry: silent });

  await world.settle();
  await arm({ client: owner, migration, telemetry: silent });
  await captured();
  await stop();
  const parts = started.move();
  return {
    ...world,
    seen,
    async go(change) {
      const from = await readPhase(pool);
      seen.add(`${from} ${change}`);
      if (from !== 'complete') {
        const report = await validate({ pool, loaded: await load(from), telemetry: silent });
        expect([report.verdict, report.reasons]).toEqual(['agrees', []]);
      }
      if (change === 'cutover' || change === 'rollback') {
        expect(await turn(change)).toMatchObject({ outcome: 'switched', phase: phaseAfter(from, change) });
      } else if (change === 'completion') {
        const before = await normalized();
        expect(await complete(shared)).toMatchObject({ outcome: 'complete', leftovers: [] });
        expect(await normalized()).toEqual(before);
      } else {
        expect(await restore(shared)).toMatchObject({ derived: 'finished' });
        parts.use(await startListening(world));
        await captured();
      }
      expect(await readPhase(pool)).toBe(phaseAfter(from, change));
      await stop();
    },
    async write(round) {
      const phase = await readPhase(pool);
      if (phase === 'complete') throw new Error('there is one side only');
      await write[phase](app, round);
      await stop();
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
