import { expect } from 'vitest';
import { type Applier, createApplier } from '../../engine/apply/applier.ts';
import { ensurePublication } from '../../engine/capture/publication.ts';
import { decode } from '../../engine/message/codec.ts';
import type { Message, OutgoingMessage, Publisher } from '../../engine/message/message.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import { type LoadedDirection, loadDirection } from '../../engine/migration/load.ts';
import { silent } from '../../engine/telemetry.ts';
import { reportSchema, type ValidationReport } from '../../engine/validate/report.ts';
import { type ValidateOptions, validate } from '../../engine/validate/validate.ts';
import { passBarrier } from '../../engine/wait/barrier.ts';
import { seedLegacy } from '../../sql/seed.ts';
import { startListener } from '../capture/support.ts';
import type { DatabaseTemplate, TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { photomemory } from '../support/photomemory.ts';

/** Takes what a listener sends to appliers; can be held, as a slow queue holds. */
class Conveyor implements Publisher {
  readonly #migration: Migration;
  readonly #waiting: Message[] = [];
  #arrived = Promise.withResolvers<void>();
  #used = false;
  #open = Promise.withResolvers<void>();
  delivered = 0;

  constructor(migration: Migration) {
    this.#migration = migration;
    this.#open.resolve();
  }

  /** Nothing is delivered until `release`. */
  hold(): void {
    this.#open = Promise.withResolvers();
  }

  release(): void {
    this.#open.resolve();
  }

  async publish(outgoing: readonly OutgoingMessage[]): Promise<void> {
    for (const { body } of outgoing) {
      const { message, malformed } = decode(body, this.#migration);
      if (!message) throw new Error(malformed);
      this.#waiting.push(message);
    }
    this.#arrived.resolve();
    this.#used = true;
  }

  async run(applier: Applier, stop: AbortSignal): Promise<void> {
    const stopped = new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve()));
    while (!stop.aborted) {
      await Promise.race([this.#open.promise, stopped]);
      const batch = this.#waiting.splice(0, 10);
      if (batch.length === 0) {
        // One for all appliers that wait, made anew when it has been used.
        if (this.#used) this.#arrived = Promise.withResolvers();
        this.#used = false;
        await Promise.race([this.#arrived.promise, stopped]);
        continue;
      }
      const outcomes = await applier.apply(batch, { deadlineMs: Date.now() + 20_000 });
      this.delivered += batch.length;
      for (const [index, outcome] of outcomes.entries()) {
        const message = batch[index] as Message;
        if (outcome.kind === 'again' || outcome.kind === 'continue') this.#waiting.push(message);
        else if (outcome.kind === 'unreadable') throw new Error(outcome.reason);
      }
    }
  }
}

export interface Synchronized extends AsyncDisposable {
  readonly loaded: LoadedDirection;
  readonly queue: Conveyor;
  validate(options?: Partial<ValidateOptions>): Promise<ValidationReport>;
  /** Waits until everything committed so far is applied. */
  caughtUp(): Promise<void>;
}

const appliers = 2;

/** A listener and appliers at work on a database, from the first backfill on. */
export async function synchronize(database: TestDatabase, migration: Migration): Promise<Synchronized> {
  const { pool } = database;
  await ensurePublication(pool, 'forward', migration.forward);
  const loaded = await loadDirection(pool, 'forward', migration.forward);
  const queue = new Conveyor(migration);
  const listener = await startListener(database, migration, queue);
  const stop = new AbortController();
  const applier = createApplier({ pool, loaded, telemetry: silent });
  const running = Promise.all(Array.from({ length: appliers }, () => queue.run(applier, stop.signal)));
  running.catch(() => undefined);
  const caughtUp = async () => {
    const barrier = passBarrier({ db: pool, direction: 'forward', timeoutMs: 120_000 });
    const passed = await Promise.race([barrier, running.then(() => undefined)]);
    if (!passed?.applied) throw new Error(`not applied: ${JSON.stringify(passed)}`);
  };
  await caughtUp();
  return {
    loaded,
    queue,
    caughtUp,
    // What is promised of the report holds for each that a test makes.
    validate: async (options = {}) => {
      const report = JSON.parse(JSON.stringify(await validate({ pool, loaded, telemetry: silent, ...options })));
      expect(reportSchema.parse(report)).toEqual(report);
      return report;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await listener[Symbol.asyncDispose]();
    },
  };
}

/** PhotoMemory with dirty legacy data, not synchronized yet. */
export const seeded: DatabaseTemplate = {
  name: 'photomemory_seeded',
  async build(pool) {
    await photomemory.build(pool);
    const client = await pool.connect();
    await seedLegacy(client, { users: 60 });
    client.release();
  },
};

/** Faster than they are applied, changes would only pile up. */
const mostInFlight = 3;

const churned = (number: number) => `cccccccc-0000-0000-0001-${String(number).padStart(12, '0')}`;

/** Whose photos `churn` writes. */
export const churnedProject = churned(0);

/**
 * Changes that never end, to the rows of a user of its own: so that something is always in flight, and nothing mends by
 * accident what a test has damaged.
 */
export async function churn(
  database: TestDatabase,
): Promise<AsyncDisposable & { changes(): number; stop(): Promise<void> }> {
  const client = await database.client();
  const owner = 'cccccccc-0000-0000-0000-000000000001';
  await client.query(`
    INSERT INTO users (id, email, display_name) VALUES ('${owner}', 'c@c', 'c');
    INSERT INTO video_projects (id, user_id, title, status) VALUES ('${churnedProject}', '${owner}', 'c', 'draft')`);
  let stopped = false;
  let changes = 0;
  const running = (async () => {
    for (; !stopped; changes += 1) {
      await eventually(
        async () => ((await client.query('SELECT FROM lockstep.in_flight')).rowCount ?? 0) < mostInFlight,
      );
      const row = churned(changes % 40);
      await client.query(`
        INSERT INTO photos (id, project_id, original_filename, file_url, upload_order) VALUES ('${row}', '${churnedProject}', 'c.jpg', 'https://c/c', ${changes})
        ON CONFLICT (id) DO UPDATE SET upload_order = excluded.upload_order;
        ${changes % 7 === 0 ? `DELETE FROM photos WHERE id = '${churned((changes + 20) % 40)}';` : ''}
        UPDATE users SET subscription_plan = '${changes % 2 === 0 ? 'pro' : 'free'}' WHERE id = '${owner}'`);
    }
  })();
  const stop = async () => {
    stopped = true;
    await running;
  };
  return { changes: () => changes, stop, [Symbol.asyncDispose]: stop };
}
