import type { Migration, Relation, Target } from '../engine/migration/contract.ts';

const legacy = (name: string): Relation => ({ schema: 'public', name });
const normalized = legacy;
const view = (name: string): Relation => ({ schema: 'lockstep_forward', name });

/**
 * A scope that is the source's own key: it needs no lookup, because the key that a row had is the scope that it was in,
 * and a change of a key names both keys.
 */
const ownKey = 'SELECT id FROM changed';

/**
 * What each changed row `c` leads to. OFFSET 0 keeps the planner from joining all changed rows at once, for which it
 * may read a whole table: a few index lookups for each row are what this costs, whatever the sizes.
 */
const forEachChanged = (...lookups: readonly string[]): string =>
  lookups
    .map((lookup) => `SELECT found.* FROM changed c CROSS JOIN LATERAL (${lookup} OFFSET 0) AS found`)
    .join('\nUNION ALL ');

/*
 * The views read `users` for one thing besides what a target copies: whether the user exists (a row of a missing user
 * is an orphan). Users are updated all the time, and deriving all their files each time would be waste, so a changed
 * user asks only for those rows whose presence in the target contradicts it: rows that lack while the user exists, and
 * rows that are there although it does not. Looking at the target without the scope's lock is safe here, because its
 * foreign key to users holds: while a merge that saw no such user is under way, the target has no such row.
 */
const userIsGone = 'NOT EXISTS (SELECT FROM public.users u WHERE u.id = c.id)';

const userSubscriptions: Target = {
  name: 'user_subscriptions',
  relation: normalized('user_subscriptions'),
  view: view('user_subscriptions'),
  scope: ['user_id'],
  writes: 'rows',
  keyedBy: ['subscriptions', 'users'],
  scopesOf: {
    users: ownKey,
    subscriptions: `SELECT user_id FROM changed UNION ALL ${forEachChanged(
      'SELECT s.user_id FROM public.subscriptions s WHERE s.id = c.id',
      'SELECT t.user_id FROM public.user_subscriptions t WHERE t.id = c.id',
    )}`,
  },
  walk: [{ relation: legacy('users'), columns: ['id'] }],
};

const mediaFiles: Target = {
  name: 'media_files',
  relation: normalized('media_files'),
  view: view('media_files'),
  scope: ['id'],
  writes: 'rows',
  scopesOf: {
    photos: ownKey,
    media_items: ownKey,
    generated_videos: ownKey,
    // A photo that has left the project since, or is gone, has an event of its own.
    video_projects: forEachChanged(
      'SELECT p.id FROM public.photos p WHERE p.project_id = c.id',
      'SELECT gv.id FROM public.generated_videos gv WHERE gv.project_id = c.id',
    ),
    users: forEachChanged(
      `SELECT p.id FROM public.video_projects vp JOIN public.photos p ON p.project_id = vp.id
       WHERE vp.user_id = c.id
         AND NOT EXISTS (SELECT FROM public.media_files t WHERE t.id = p.id AND t.user_id = c.id)`,
      `SELECT gv.id FROM public.video_projects vp JOIN public.generated_videos gv ON gv.project_id = vp.id
       WHERE vp.user_id = c.id AND gv.file_url IS NOT NULL
         AND NOT EXISTS (SELECT FROM public.media_files t WHERE t.id = gv.id AND t.user_id = c.id)`,
      `SELECT mi.id FROM public.media_items mi
       WHERE mi.user_id = c.id
         AND NOT EXISTS (SELECT FROM public.media_files t WHERE t.id = mi.id AND t.user_id = c.id)`,
      `SELECT t.id FROM public.media_files t WHERE t.user_id = c.id AND ${userIsGone}`,
    ),
  },
  walk: [
    { relation: legacy('photos'), columns: ['id'] },
    { relation: legacy('media_items'), columns: ['id'] },
    { relation: legacy('generated_videos'), columns: ['id'] },
  ],
};

const projectMedia: Target = {
  name: 'project_media',
  relation: normalized('project_media'),
  view: view('project_media'),
  scope: ['project_id'],
  writes: 'rows',
  keyedBy: ['photos'],
  scopesOf: {
    photos: `SELECT project_id FROM changed UNION ALL ${forEachChanged(
      'SELECT p.project_id FROM public.photos p WHERE p.id = c.id',
      'SELECT t.project_id FROM public.project_media t WHERE t.id = c.id',
    )}`,
    video_projects: ownKey,
    users: forEachChanged(
      `SELECT vp.id FROM public.video_projects vp JOIN public.photos p ON p.project_id = vp.id
       WHERE vp.user_id = c.id AND NOT EXISTS (SELECT FROM public.project_media t WHERE t.id = p.id AND t.project_id = p.project_id)`,
      `SELECT vp.id FROM public.video_projects vp WHERE vp.user_id = c.id AND ${userIsGone}`,
    ),
  },
  walk: [{ relation: legacy('video_projects'), columns: ['id'] }],
};

const generationJobs: Target = {
  name: 'generation_jobs',
  relation: normalized('generation_jobs'),
  view: view('generation_jobs'),
  scope: ['id'],
  writes: 'rows',
  scopesOf: {
    generated_videos: ownKey,
    video_projects: forEachChanged('SELECT gv.id FROM public.generated_videos gv WHERE gv.project_id = c.id'),
    users: forEachChanged(
      `SELECT gv.id FROM public.video_projects vp JOIN public.generated_videos gv ON gv.project_id = vp.id
       WHERE vp.user_id = c.id
         AND NOT EXISTS (SELECT FROM public.generation_jobs t WHERE t.id = gv.id AND t.user_id = c.id)`,
      `SELECT t.id FROM public.generation_jobs t WHERE t.user_id = c.id AND ${userIsGone}`,
    ),
  },
  walk: [{ relation: legacy('generated_videos'), columns: ['id'] }],
};

/**
 * PhotoMemory: from the denormalized schema to the normalized one. The mapping is in the views of 004-006; here is what
 * drives it. A change that names a project, its photos or its videos is routed by the project, so that what touches the
 * same scopes waits in one line.
 */
export const migration: Migration = {
  name: 'photomemory',
  upkeep: { 'monthly partitions of audit_logs': 'SELECT public.ensure_audit_log_partitions(3)' },
  forward: {
    sources: [
      { name: 'users', relation: legacy('users'), key: ['id'], routing: [] },
      { name: 'subscriptions', relation: legacy('subscriptions'), key: ['id'], routing: ['user_id'] },
      { name: 'video_projects', relation: legacy('video_projects'), key: ['id'], routing: [] },
      { name: 'photos', relation: legacy('photos'), key: ['id'], routing: ['project_id'] },
      { name: 'media_items', relation: legacy('media_items'), key: ['id'], routing: [] },
      { name: 'generated_videos', relation: legacy('generated_videos'), key: ['id'], routing: ['project_id'] },
    ],
    // media_files comes before what refers to it.
    targets: [userSubscriptions, mediaFiles, projectMedia, generationJobs],
    checks: {
      counts: 'SELECT * FROM public.validate_migration_consistency()',
      rules: 'SELECT * FROM public.validate_business_rules()',
      listings: {
        'Legacy rows that can have no normalized row': 'SELECT * FROM lockstep_forward.orphans',
        'Users with several active subscriptions': 'SELECT * FROM lockstep_forward.subscription_conflicts',
      },
    },
  },
};
