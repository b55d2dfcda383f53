import { expect, test } from 'vitest';
import type { UserLimit } from '../../app/types.ts';
import { addUsers, id, rows, sqlStateOf } from '../sql/world.ts';
import { type AppWorld, appWorld } from './world.ts';

const user = id('user', 1);
const gigabyte = 1024 ** 3;
const most = 2_147_483_647;
const active = (plan: string, end = "'infinity'") => `
  UPDATE users SET subscription_plan = '${plan}';
  INSERT INTO subscriptions (id, user_id, status, current_period_start, current_period_end)
  VALUES ('${id('subscription', 1)}', '${user}', 'active', '2026-01-01', ${end});`;
const store = (bytes: number) =>
  `INSERT INTO media_items (user_id, original_filename, file_url, file_size_bytes) VALUES ('${user}', 'f', 'u', ${bytes});`;
const projects = (...status: string[]) =>
  status.map((one) => `INSERT INTO video_projects (user_id, status) VALUES ('${user}', ${one});`).join('');
const video = (status: string, completedAt: string) =>
  `INSERT INTO generated_videos (project_id, status, generation_service, completed_at) VALUES ('${id('project', 1)}', '${status}', 'luma', ${completedAt});`;

const again = `
  DELETE FROM users; UPDATE subscription_plans p
  SET (max_projects, max_videos_per_month, max_storage_gb) = (b.max_projects, b.max_videos_per_month, b.max_storage_gb)
  FROM plans_before b WHERE b.id = p.id`;

interface BothSides extends AppWorld {
  /** A state of legacy, and nothing else. */
  fill(legacy: string): Promise<void>;
  may(limit: string, amount?: number): Promise<boolean>;
}

/** On both sides: one is who reads legacy, the other one who reads the normalized tables. */
async function bothSides(legacy?: string): Promise<BothSides> {
  const world = await appWorld();
  const { pool } = world;
  await pool.query('CREATE TABLE plans_before AS TABLE subscription_plans');
  await world.flags({ state: 'off', allow: ['flagged'] });
  const fill = async (state: string) => {
    await pool.query(again);
    await addUsers(pool, 1);
    await pool.query(state);
    await world.apply();
  };
  if (legacy !== undefined) await fill(legacy);
  return {
    ...world,
    fill,
    async may(limit, amount) {
      const [onLegacy, onNormalized] = await Promise.all(
        ['other', 'flagged'].map((who) =>
          world.schemas.forUser(who).subscriptions.checkUserLimit(user, limit as UserLimit, amount),
        ),
      );
      expect(onNormalized, `${amount} ${limit}: normalized, and legacy`).toBe(onLegacy);
      return onLegacy === true;
    },
  };
}

const cases: [what: string, legacy: string, answers: [limit: string, amount: number | undefined, may: boolean][]][] = [
  ['a period that has no end', active('free'), [['projects', 1, true]]],
  ['the default amount is one', active('free') + projects("'draft'", "'draft'"), [['projects', undefined, false]]],
  ['a period that has ended', active('free', "now() - interval '1 second'"), [['projects', 0, false]]],
  [
    'a subscription that was cancelled',
    `${active('pro')}UPDATE subscriptions SET status = 'cancelled'`,
    [['projects', 0, false]],
  ],
  ['no subscription, in the first month', 'UPDATE users SET created_at = now()', [['projects', 1, true]]],
  ['no subscription, later', "UPDATE users SET created_at = now() - interval '40 days'", [['projects', 1, false]]],
  ['nobody', 'DELETE FROM video_projects; DELETE FROM users', [['projects', 1, false]]],
  [
    'unknown kinds',
    active('enterprise'),
    [
      ['bandwidth', 0, false],
      ['', 0, false],
      ['constructor', 0, false],
      ['toString', 1, false],
    ],
  ],
  [
    'nothing stored',
    active('free'),
    [
      ['storage_gb', 1, true],
      ['storage_gb', 2, false],
    ],
  ],
  [
    'a byte stored',
    active('free') + store(1),
    [
      ['storage_gb', 1, false],
      ['storage_gb', 0, true],
      ['storage_gb', -1, true],
    ],
  ],
  [
    '0.6 GB, which are no whole one',
    active('free') + store(0.375 * gigabyte) + store(0.225 * gigabyte),
    [['storage_gb', 1, false]],
  ],
  ['a whole gigabyte', active('free') + store(0.375 * gigabyte) + store(0.625 * gigabyte), [['storage_gb', 0, true]]],
  ['a byte more', active('free') + store(gigabyte) + store(1), [['storage_gb', 0, false]]],
  [
    'files without a size',
    `${active('free')}INSERT INTO media_items (user_id, original_filename, file_url) VALUES ('${user}', 'f', 'u');`,
    [['storage_gb', 1, true]],
  ],
  [
    'projects without a status count, deleted ones do not',
    active('free') + projects('NULL', "'deleted'", "'DELETED'"),
    [
      ['projects', 0, true],
      ['projects', 1, false],
    ],
  ],
  [
    '-1 is unlimited',
    `${active('enterprise')}UPDATE subscription_plans SET max_storage_gb = -1`,
    [
      ['projects', most, true],
      ['videos_per_month', most, true],
      ['storage_gb', most, true],
    ],
  ],
  [
    'what the plan does not state',
    `${active('pro')}UPDATE subscription_plans SET max_storage_gb = NULL, max_projects = NULL, max_videos_per_month = NULL`,
    [
      ['projects', 0, false],
      ['videos_per_month', 0, false],
      ['storage_gb', 0, false],
    ],
  ],
  [
    'videos of this month, when they are completed',
    active('free') +
      video('completed', 'now()').repeat(3) +
      video('completed', "date_trunc('month', now())") +
      video('completed', "date_trunc('month', now()) - interval '1 microsecond'") +
      video('completed', 'NULL') +
      video('failed', 'now()'),
    [
      ['videos_per_month', 1, true],
      ['videos_per_month', 2, false],
    ],
  ],
];

test('erratum 16: each edge of the limits has one answer on both sides, and it is the right one', async () => {
  await using world = await bothSides();
  for (const [what, legacy, answers] of cases) {
    await world.fill(legacy);
    for (const [limit, amount, may] of answers)
      expect(await world.may(limit, amount), `${what}: ${amount} ${limit}`).toBe(may);
    // Nobody had to fall back.
    expect(world.events, what).toEqual([]);
  }
});

test('an amount that is no whole number is refused by both sides', async () => {
  await using world = await bothSides(active('free'));
  const { subscriptions: legacy } = world.schemas.forUser('other');
  const { subscriptions: normalized } = world.schemas.forUser('flagged');
  for (const [amount, state] of [
    [0.5, '22P02'],
    [3_000_000_000, '22003'],
  ] as const) {
    for (const limit of ['projects', 'storage_gb', 'videos_per_month'] as const) {
      expect(await sqlStateOf(legacy.checkUserLimit(user, limit, amount)), limit).toBe(state);
      expect(await sqlStateOf(normalized.checkUserLimit(user, limit, amount)), limit).toBe(state);
    }
  }
});

test('the features are those of the active subscription, end with its period, and are nothing without one', async () => {
  await using world = await bothSides(active('pro'));
  const features = async () => {
    const [legacy, normalized] = await Promise.all(
      ['other', 'flagged'].map((who) => world.schemas.forUser(who).subscriptions.getUserSubscriptionFeatures(user)),
    );
    expect(normalized).toEqual(legacy);
    return legacy;
  };
  const pro = { planId: 'pro', maxProjects: 50, maxVideosPerMonth: 100, maxStorageGb: 50, isActive: true };
  expect(await features()).toEqual({ ...pro, features: ['no_watermark', 'priority_support'] });
  await world.pool.query("UPDATE subscriptions SET current_period_end = '2026-01-02'");
  await world.apply();
  expect(await features()).toMatchObject({ ...pro, isActive: false });
  expect(world.events).toEqual([]);
  await world.pool.query("UPDATE subscriptions SET status = 'expired'");
  await world.apply();
  expect(await features()).toBeNull();
});

test('an audit event is written with what is known of it, and its id is answered', async () => {
  await using world = await appWorld();
  const { schemas, pool } = world;
  const whole = await schemas.logAuditEvent({
    userId: user,
    action: 'rename',
    resourceType: 'media_file',
    resourceId: id('photo', 1),
    changes: { name: ['a', 'b'] },
    metadata: { from: 'web' },
  });
  const least = await schemas.logAuditEvent({ userId: null, action: 'sweep', resourceType: 'system' });
  const events = await rows(
    pool,
    'SELECT id, user_id, action, resource_type, resource_id, changes, metadata, success FROM audit_logs ORDER BY action',
  );
  const said = { resource_type: 'media_file', resource_id: id('photo', 1), changes: { name: ['a', 'b'] } };
  expect(events).toEqual([
    { id: whole, user_id: user, action: 'rename', ...said, metadata: { from: 'web' }, success: true },
    {
      id: least,
      user_id: null,
      action: 'sweep',
      resource_type: 'system',
      resource_id: null,
      changes: null,
      metadata: {},
      success: true,
    },
  ]);
  expect(await sqlStateOf(schemas.logAuditEvent({ userId: id('user', 9), action: 'x', resourceType: 'y' }))).toBe(
    '23503',
  );
});
