import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { expect, test } from 'vitest';
import { legacyRepositories } from '../../app/legacy/repositories.ts';
import { normalizedRepositories } from '../../app/normalized/repositories.ts';
import type { Repositories } from '../../app/repositories.ts';
import { sqlOnPool } from '../../app/sql.ts';
import type { MediaQueryOptions, UserLimit } from '../../app/types.ts';
import { type Random, randomFrom } from '../../engine/random.ts';
import { testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import { counts, every, ids, type Kind, randomState, some } from './random-state.ts';
import { deriveAll } from './world.ts';

type Asked = [name: string, answer: (from: Repositories) => Promise<unknown>];

interface Refused {
  readonly any: boolean;
  has(target: string, scope: string): boolean;
}

/** What the new schema has refused, and so cannot answer. */
async function refusedIn(pool: pg.Pool): Promise<Refused> {
  const { rows } = await pool.query<{ target: string; scope: string }>(
    'SELECT target, scope[1] AS scope FROM lockstep.quarantine',
  );
  const known = new Set(rows.map(({ target, scope }) => `${target} ${scope}`));
  return { any: known.size > 0, has: (target, scope) => known.has(`${target} ${scope}`) };
}

const pages: MediaQueryOptions[] = [{ fileType: 'image' }, { folderPath: '/library' }, { limit: 2, offset: 1 }];
const limits: [UserLimit, number][] = [
  ['projects', 1],
  ['projects', 3],
  ['videos_per_month', 1],
  ['videos_per_month', 5],
  ['storage_gb', 0],
  ['storage_gb', 1],
  ['bandwidth' as UserLimit, 1],
];

/** Every method, of every key; without the keys that hang on something refused. */
function questions(refused: Refused): Asked[] {
  const anyFileRefused = filesRefused(refused);
  const asked: Asked[] = ['free', 'gold'].map((plan) => [
    `plan ${plan}`,
    (from) => from.subscriptions.getSubscriptionPlan(plan),
  ]);
  for (const user of every('user')) {
    if (refused.has('user_subscriptions', user)) continue;
    asked.push([`subscription of ${user}`, (from) => from.subscriptions.getUserSubscription(user)]);
    asked.push([`features of ${user}`, (from) => from.subscriptions.getUserSubscriptionFeatures(user)]);
    if (anyFileRefused) continue;
    for (const [limit, amount] of limits) {
      asked.push([`${amount} ${limit} of ${user}`, (from) => from.subscriptions.checkUserLimit(user, limit, amount)]);
    }
    for (const page of [undefined, ...pages]) {
      asked.push([`files of ${user} ${JSON.stringify(page)}`, (from) => from.media.getUserMediaFiles(user, page)]);
    }
  }
  for (const file of (['photo', 'item', 'video'] as const).flatMap(every)) {
    if (!refused.has('media_files', file)) asked.push([`file ${file}`, (from) => from.media.getMediaFile(file)]);
  }
  for (const project of every('project')) {
    if (!refused.has('project_media', project))
      asked.push([`media of ${project}`, (from) => from.media.getProjectMedia(project)]);
    if (!every('video').some((video) => refused.has('generation_jobs', video)))
      asked.push([`jobs of ${project}`, (from) => from.generation.getProjectJobs(project)]);
  }
  for (const video of every('video')) {
    if (!refused.has('generation_jobs', video))
      asked.push([`job ${video}`, (from) => from.generation.getGenerationJob(video)]);
  }
  return asked;
}

/** The same repositories; notes which of their methods are called, as `media.addPhoto`. */
function noting<T extends Repositories>(repositories: T, called: Set<string>): T {
  const proxied = Object.entries(repositories).map(([name, repository]: [string, object]) => [
    name,
    new Proxy(repository, {
      get(target, method) {
        called.add(`${name}.${String(method)}`);
        return Reflect.get(target, method);
      },
    }),
  ]);
  return Object.fromEntries(proxied) as T;
}

/** Every method that there is, of those that read or of those that write. */
function methodsOf(repositories: Repositories, kind: 'reads' | 'writes'): string[] {
  const all = Object.entries(repositories).flatMap(([name, repository]: [string, object]) =>
    Object.keys(repository).map((method) => `${name}.${method}`),
  );
  return all.filter((method) => /\.(get|check)/.test(method) === (kind === 'reads')).sort();
}

async function world() {
  const database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const sql = sqlOnPool(pool);
  const normalized = normalizedRepositories(sql);
  const called = { legacy: new Set<string>(), normalized: new Set<string>() };
  return {
    pool,
    legacy: noting(legacyRepositories(sql), called.legacy),
    normalized: noting(normalized, called.normalized),
    /** That no method was left out, on either side. */
    expectAllCalled(kind: 'reads' | 'writes') {
      const methods = methodsOf(normalized, kind);
      expect([...called.legacy].filter((method) => methods.includes(method)).sort()).toEqual(methods);
      expect([...called.normalized].filter((method) => methods.includes(method)).sort()).toEqual(methods);
    },
    /** Writes a state and derives the normalized tables from it. */
    async fill(state: string) {
      await pool.query(state);
      await deriveAll(pool);
      return await refusedIn(pool);
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

const filesRefused = (refused: Refused) =>
  (['photo', 'item', 'video'] as const)
    .flatMap(every)
    .some((file) => refused.has('media_files', file) || refused.has('generation_jobs', file));

/** How many states; more: LOCKSTEP_TEST_RUNS. */
const states = (usual: number) => Number(process.env.LOCKSTEP_TEST_RUNS ?? usual);

test('every read has one answer on both sides, whatever the legacy rows hold', { timeout: 900_000 }, async () => {
  await using db = await world();
  let [compared, found, refusals] = [0, 0, 0];
  for (let seed = 1; seed <= states(30); seed += 1) {
    const refused = await db.fill(randomState(randomFrom(seed)));
    if (filesRefused(refused)) refusals += 1;
    for (const [name, ask] of questions(refused)) {
      const [legacy, normalized] = await Promise.all([ask(db.legacy), ask(db.normalized)]);
      expect(normalized, `seed ${seed}: ${name}`).toEqual(legacy);
      compared += 1;
      if (legacy !== null && !isDeepStrictEqual(legacy, []) && legacy !== false) found += 1;
    }
  }
  db.expectAllCalled('reads');
  // Not an agreement about nothing.
  expect(compared).toBeGreaterThan(900);
  expect(found).toBeGreaterThan(250);
  expect(refusals).toBeGreaterThan(10);
});

test('the named legacy methods answer what the method over all tables answers', async () => {
  await using db = await world();
  const { media, generation, subscriptions } = db.legacy;
  for (let seed = 100; seed < 104; seed += 1) {
    await db.fill(randomState(randomFrom(seed)));
    for (const id of every('photo')) expect(await media.getPhotoLegacy(id)).toEqual(await media.getMediaFile(id));
    for (const id of every('item')) expect(await media.getMediaItemLegacy(id)).toEqual(await media.getMediaFile(id));
    for (const id of every('video')) {
      expect(await generation.getGeneratedVideoLegacy(id)).toEqual(await generation.getGenerationJob(id));
      expect(await media.getPhotoLegacy(id)).toBeNull();
    }
    for (const id of every('user')) {
      expect(await subscriptions.getUserSubscriptionLegacy(id)).toEqual(await subscriptions.getUserSubscription(id));
    }
  }
});

type Write = [name: string, write: (to: Repositories) => Promise<unknown>];

const file = (random: Random, id: string) => ({
  id,
  originalFilename: random.pick(['new.jpg', 'x', 'é.png']),
  fileUrl: random.pick(['https://c/new.jpg', 'https://c/other']),
  mimeType: random.pick(['image/png', 'video/mp4', 'application/pdf']),
  fileSizeBytes: random.pick([0, 5, 700_000_000]),
  ...(random.chance(0.5) && { width: 4, height: null, metadata: { new: [1] } }),
});

/** Each kind of write in turn. */
function randomWrite(random: Random, turn: number): Write {
  const [user, project] = [some('user', random), some('project', random)];
  const anyFile = some(random.pick(['photo', 'photo', 'item', 'video'] as const), random);
  const video = some('video', random);
  const day = (n: number) => new Date(Date.UTC(2027, 0, 1 + n));
  const period = { currentPeriodStart: day(random.integer(9)), currentPeriodEnd: day(20 + random.integer(9)) };
  const planId = random.pick(['free', 'pro', 'enterprise', 'gold']);
  const writes: (() => Write)[] = [
    () => ['addPhoto', (to) => to.media.addPhoto(project, added)],
    () => ['addMediaItem', (to) => to.media.addMediaItem(user, added)],
    () => ['updateMediaFile', (to) => to.media.updateMediaFile(anyFile, changes)],
    () => ['deleteMediaFile', (to) => to.media.deleteMediaFile(anyFile)],
    () => ['orderProjectMedia', (to) => to.media.orderProjectMedia(project, order)],
    () => ['createUser', (to) => to.subscriptions.createUser({ id: ids.user(9), email: 'e', displayName: 'd' })],
    () => [
      'createSubscription',
      (to) => to.subscriptions.createSubscription(user, { id: ids.subscription(9), planId, ...period }),
    ],
    () => ['updateSubscription', (to) => to.subscriptions.updateSubscription(user, ofSubscription)],
    () => ['deleteSubscriptions', (to) => to.subscriptions.deleteSubscriptions(user)],
    () => [
      'createGenerationJob',
      (to) =>
        to.generation.createGenerationJob({
          id: ids.video(9),
          projectId: project,
          generationService: 'luma',
          aiPrompt: 'p',
        }),
    ],
    () => ['updateGenerationJob', (to) => to.generation.updateGenerationJob(video, job)],
    () => ['deleteGenerationJob', (to) => to.generation.deleteGenerationJob(video)],
  ];
  const added = file(random, ids.photo(9));
  const { id: _, ...whole } = file(random, '');
  const changes = random.pick([whole, { originalFilename: 'renamed' }, { mimeType: 'audio/ogg', metadata: null }, {}]);
  const order = every('photo')
    .filter(() => random.chance(0.4))
    .sort(() => random.integer(3) - 1);
  const subscription = { ...period, stripeSubscriptionId: 'new', planId: 'pro' };
  const ofSubscription = random.pick([{ planId }, subscription, { status: 'cancelled' }, {}] as const);
  const job = random.pick([
    { status: 'processing', progressPercentage: 50, startedAt: day(1) },
    { status: 'completed', completedAt: day(2), fileUrl: 'https://c/v.mp4', fileSizeBytes: 12, durationSeconds: 9 },
    { status: 'failed', errorMessage: 'no' },
    { fileUrl: null, externalJobId: 'y' },
    {},
  ] as const);
  const chosen = writes[turn % writes.length];
  if (!chosen) throw new RangeError('no writes');
  return chosen();
}

/** Moments of this test are one: the two sides are written one after the other. */
function withoutNow(value: unknown): unknown {
  const recent = Date.now() - 60_000;
  return JSON.parse(
    JSON.stringify(value, (_, part) =>
      typeof part === 'string' && /^\d{4}-\d\d-\d\dT/.test(part) && Math.abs(Date.parse(part) - recent) < 120_000
        ? 'now'
        : part,
    ),
  );
}

test('every write has one outcome on both sides: the same answer, and the same reads after it', {
  timeout: 900_000,
}, async () => {
  await using db = await world();
  const done = new Map<string, number>();
  const differences: string[] = [];
  for (let seed = 1; seed <= states(96); seed += 1) {
    const random = randomFrom(seed * 7919);
    const refused = await db.fill(randomState(random, 'clean'));
    // What is refused before the write is not there to be written to.
    if (refused.any) continue;
    const [name, write] = randomWrite(random, seed);
    const answers = [await write(db.legacy), await write(db.normalized)];
    if (answers[0] !== answers[1]) differences.push(`seed ${seed}: ${name} answers ${answers.join(' and ')}`);
    if (answers[0] !== false) done.set(name, (done.get(name) ?? 0) + 1);
    for (const [asked, ask] of [...questions(refused), ...newQuestions]) {
      const [legacy, normalized] = (await Promise.all([ask(db.legacy), ask(db.normalized)])).map((answer) =>
        withoutNumbers(withoutNow(answer)),
      );
      if (isDeepStrictEqual(legacy, normalized)) continue;
      differences.push(
        `seed ${seed}: ${asked} after ${name}: ${JSON.stringify(legacy)} and ${JSON.stringify(normalized)}`,
      );
    }
  }
  expect(differences).toEqual([]);
  db.expectAllCalled('writes');
  // Each of them has had something to write, several times.
  for (const method of methodsOf(db.normalized, 'writes')) {
    expect(done.get(method.split('.')[1] ?? '') ?? 0, method).toBeGreaterThanOrEqual(2);
  }
});

/** Ties and gaps make other numbers of the same order. */
function withoutNumbers(value: unknown): unknown {
  const places = Array.isArray(value) && value.every((one) => 'displayOrder' in one) ? value : [];
  return places.length > 0 ? places.map((one: object, place) => ({ ...one, displayOrder: place })) : value;
}

/** Of what the writes add. */
const newQuestions: Asked[] = [
  ['the new file', (from) => from.media.getMediaFile(ids.photo(9))],
  ['the new user', (from) => from.subscriptions.getUserSubscription(ids.user(9))],
  ['the new job', (from) => from.generation.getGenerationJob(ids.video(9))],
];

test('the ids that the tests draw from are those that they ask for', () => {
  for (const kind of Object.keys(counts) as Kind[]) expect(every(kind)).toContain(some(kind, randomFrom(1)));
});
