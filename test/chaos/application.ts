import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { openSchemas, type Repositories, type Schemas } from '../../app/index.ts';
import { sqlState } from '../../engine/sqlstate.ts';
import { type Random, random } from '../../sql/traffic/random.ts';
import { Book, someFile } from './book.ts';
import { databaseName, type Machine } from './machine.ts';
import { isOutage, type Workload } from './workload.ts';

/*
 * The application that is to be cut over: the one of app/, which writes to whichever side is the truth, and repeats on the
 * other one what has met a write guard. What it writes survives the way back. Each writer keeps a book of what it was told
 * is committed; nothing but that knows, after a cutover, what legacy held a moment before.
 */
const writers = 3;
const sharedUsers = 5;
const pauseMs = 25;
/** Between two transactions once the faults are over: the operator waits for a quieter moment. */
const calmPauseMs = 500;
/** So many messages in flight are a machine that cannot keep up: then a smaller run is made of it, and not another one. */
const mostInFlight = 50;
const calmMostInFlight = 5;

export interface Application extends Workload {
  /** The faults are over. */
  calm(): void;
  /** What was committed and is not there, on either side, and what else went wrong. To be asked when everything is applied. */
  lost(pool: pg.Pool): Promise<string[]>;
}

/** What all writers share, so that they meet. */
interface Shared {
  readonly users: readonly string[];
  readonly projects: readonly string[];
  readonly photos: string[];
  readonly jobs: string[];
}

/** Runs through every outage of the server; its own connections meet no other fault. */
export async function startApplication(machine: Machine, seed: number): Promise<Application> {
  const pool = new pg.Pool({ connectionString: machine.server.url(databaseName), max: 8, application_name: 'writer' });
  pool.on('error', () => {});
  const schemas = await openSchemas({ pool });
  const stopping = new AbortController();
  const problems: string[] = [];
  const shared = await found(schemas, random(seed, 0));
  const books = await Promise.all(
    Array.from({ length: writers }, async (_, index) => {
      const own = await found(schemas, random(seed, 1 + index), 1);
      return new Book(own.users[0] ?? '', own.projects[0] ?? '');
    }),
  );
  let committed = 0;
  let [pause, most] = [pauseMs, mostInFlight];
  const keptUp = async () => {
    const sql = 'SELECT count(*) > $1 AS behind FROM lockstep.in_flight';
    const behind = () => machine.pool.query(sql, [most]).then(({ rows }) => rows[0]?.behind === 't');
    while (!stopping.signal.aborted && (await behind().catch(() => false))) await delay(200);
  };
  const run = async (book: Book, index: number) => {
    for (let number = 1; !stopping.signal.aborted; number += 1) {
      const stream = (index + 1) * 1_000_000 + number;
      const note = book.next(random(seed, stream));
      try {
        await schemas.forUser().write(async (to) => {
          // Drawn anew when it is repeated, and so the same.
          const dice = random(seed, stream);
          for (let left = dice.below(3); left > 0; left--) await act(to, dice, shared);
          await note.write(to);
        });
        note.committed();
        committed += 1;
      } catch (error) {
        if (isOutage(error)) note.unknown();
        else if (!wasRolledBack(error)) problems.push(String(error));
        await delay(20);
      }
      await delay(random(seed, stream).below(2 * pause));
      if (number % 3 === 0) await keptUp();
    }
  };
  const writing = books.map(run);
  let stopped: Promise<number> | undefined;
  const stop = async () => {
    stopping.abort();
    await Promise.all(writing);
    await schemas[Symbol.asyncDispose]();
    await pool.end();
    return committed;
  };
  return {
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
    calm: () => {
      [pause, most] = [calmPauseMs, calmMostInFlight];
    },
    async lost(db) {
      return [...problems, ...(await Promise.all(books.map((book) => book.lost(db)))).flat()];
    },
  };
}

/** Users, each with a project. */
async function found(schemas: Schemas, dice: Random, count = sharedUsers): Promise<Shared> {
  const users = Array.from({ length: count }, () => dice.uuid());
  const projects = users.map(() => dice.uuid());
  for (const [index, id] of users.entries()) {
    await schemas.forUser().write(async (to, client) => {
      await to.subscriptions.createUser({ id, email: `${id}@mail.example`, displayName: 'someone' });
      // Neither side's: both schemas share it, and it has no guard.
      const sql = 'INSERT INTO video_projects (id, user_id, title) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING';
      await client.query(sql, [projects[index], id, 'of the application']);
    });
  }
  return { users, projects, photos: [], jobs: [] };
}

const keep = (list: string[], id: string) => {
  list.push(id);
  if (list.length > 12) list.shift();
  return id;
};
const one = (dice: Random, list: readonly string[]) => list[dice.below(list.length)] ?? dice.uuid();
const statuses = ['processing', 'completed', 'failed'] as const;

/** One thing that users do, on rows that others work on as well. */
async function act(to: Repositories, dice: Random, { users, projects, photos, jobs }: Shared): Promise<unknown> {
  const user = one(dice, users);
  const project = one(dice, projects);
  const day = (n: number) => new Date(Date.UTC(2027, 0, 1 + n));
  const period = { currentPeriodStart: day(dice.below(9)), currentPeriodEnd: day(20 + dice.below(9)) };
  switch (dice.below(9)) {
    case 0:
    case 1:
      return to.media.addPhoto(project, { id: keep(photos, dice.uuid()), ...someFile(dice) });
    case 2:
      return to.media.updateMediaFile(one(dice, photos), someFile(dice));
    case 3:
      return to.media.deleteMediaFile(one(dice, photos));
    case 4:
      return to.media.orderProjectMedia(project, [one(dice, photos), one(dice, photos)]);
    case 5:
      return to.generation.createGenerationJob({
        id: keep(jobs, dice.uuid()),
        projectId: project,
        generationService: 'luma',
      });
    case 6:
      return to.generation.updateGenerationJob(one(dice, jobs), {
        status: dice.pick(statuses),
        progressPercentage: dice.below(101),
        ...(dice.chance(0.5) && { fileUrl: 'https://cdn/v.mp4', fileSizeBytes: dice.below(900), durationSeconds: 9 }),
      });
    case 7:
      return to.subscriptions.updateSubscription(user, { planId: dice.pick(['free', 'pro'] as const), ...period });
    default:
      // Legacy has one time of change for a user and all his subscriptions, so whoever has several loses some of it on
      // the way back (`lockstep rollback plan` says so): here each has one.
      await to.subscriptions.deleteSubscriptions(user);
      return to.subscriptions.createSubscription(user, { id: dice.uuid(), planId: 'pro', ...period });
  }
}

/** The server, or the application's own layer, has refused it as a whole: nothing of it is there. */
function wasRolledBack(error: unknown): boolean {
  const code = sqlState(error) ?? (error as { code?: string }).code ?? '';
  // The direction has turned twice while it was under way; or nobody could say which side is the truth.
  return /^(22|23|40)/.test(code) || code === 'LS_APP_GUARDED' || code === 'LS_APP_SETTINGS';
}
