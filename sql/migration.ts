import type { Guard, Migration, Relation, Target } from '../engine/migration/contract.ts';

const legacy = (name: string): Relation => ({ schema: 'public', name });
const normalized = legacy;
const view = (name: string): Relation => ({ schema: 'lockstep_forward', name });
const wayBack = (name: string): Relation => ({ schema: 'lockstep_reverse', name });

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

/*
 * The way back. The normalized tables' replica identities hold their routing columns, so that a change also names the
 * user, the project and the file that a row has left: nothing has to be looked for in the target.
 *
 * Orphans of legacy stay as long as their user or project is missing, for they were never carried over. Should it appear,
 * they are what the new schema does not have, and go: a changed user or project asks for those rows only.
 */
const neverCarried = {
  photo: 'NOT EXISTS (SELECT FROM public.media_files mf WHERE mf.id = p.id)',
  item: 'NOT EXISTS (SELECT FROM public.media_files mf WHERE mf.id = mi.id)',
  video: 'NOT EXISTS (SELECT FROM public.generation_jobs gj WHERE gj.id = gv.id)',
};

const legacySubscriptions: Target = {
  name: 'subscriptions',
  relation: legacy('subscriptions'),
  view: wayBack('subscriptions'),
  scope: ['user_id'],
  writes: 'rows',
  keyedBy: ['user_subscriptions'],
  scopesOf: {
    users: ownKey,
    user_subscriptions: `SELECT user_id FROM changed UNION ALL ${forEachChanged(
      'SELECT us.user_id FROM public.user_subscriptions us WHERE us.id = c.id',
      'SELECT t.user_id FROM public.subscriptions t WHERE t.id = c.id',
    )}`,
  },
  walk: [{ relation: normalized('user_subscriptions'), columns: ['user_id'] }],
};

/** The columns that legacy keeps in users: the plan and the sum of the file sizes. */
const legacyUsers: Target = {
  name: 'users',
  relation: legacy('users'),
  view: wayBack('users'),
  scope: ['id'],
  writes: 'columns',
  scopesOf: {
    users: ownKey,
    user_subscriptions: `SELECT user_id FROM changed UNION ALL ${forEachChanged(
      'SELECT us.user_id FROM public.user_subscriptions us WHERE us.id = c.id',
    )}`,
    media_files: `SELECT user_id FROM changed UNION ALL ${forEachChanged(
      'SELECT mf.user_id FROM public.media_files mf WHERE mf.id = c.id',
    )}`,
  },
  walk: [{ relation: legacy('users'), columns: ['id'] }],
};

/** A file's or job's id leads to the projects in which the file is placed, and to the one that its photo is in. */
const projectsOfFile = [
  'SELECT pm.project_id FROM public.project_media pm WHERE pm.media_file_id = c.id',
  'SELECT pm.project_id FROM public.project_media pm WHERE pm.id = c.id',
  'SELECT t.project_id FROM public.photos t WHERE t.id = c.id',
];

const legacyPhotos: Target = {
  name: 'photos',
  relation: legacy('photos'),
  view: wayBack('photos'),
  scope: ['project_id'],
  writes: 'rows',
  keyedBy: ['project_media', 'media_files'],
  scopesOf: {
    media_files: forEachChanged(...projectsOfFile),
    generation_jobs: forEachChanged(...projectsOfFile),
    // Which placement is a file's home depends on its others.
    project_media: `SELECT project_id FROM changed UNION ALL ${forEachChanged(
      'SELECT pm.project_id FROM public.project_media pm WHERE pm.media_file_id = c.media_file_id',
      `SELECT others.project_id FROM public.project_media pm JOIN public.project_media others USING (media_file_id)
       WHERE pm.id = c.id`,
      'SELECT t.project_id FROM public.photos t WHERE t.id = c.id',
    )}`,
    video_projects: forEachChanged(
      `SELECT p.project_id FROM public.photos p WHERE p.project_id = c.id AND ${neverCarried.photo} LIMIT 1`,
    ),
    users: forEachChanged(
      `SELECT p.project_id FROM public.video_projects vp JOIN public.photos p ON p.project_id = vp.id
       WHERE vp.user_id = c.id AND ${neverCarried.photo}`,
    ),
  },
  walk: [{ relation: legacy('video_projects'), columns: ['id'] }],
};

const legacyMediaItems: Target = {
  name: 'media_items',
  relation: legacy('media_items'),
  view: wayBack('media_items'),
  scope: ['id'],
  writes: 'rows',
  scopesOf: {
    media_files: ownKey,
    generation_jobs: ownKey,
    project_media: `SELECT media_file_id FROM changed UNION ALL ${forEachChanged(
      'SELECT pm.media_file_id FROM public.project_media pm WHERE pm.id = c.id',
    )}`,
    users: forEachChanged(`SELECT mi.id FROM public.media_items mi WHERE mi.user_id = c.id AND ${neverCarried.item}`),
  },
  walk: [{ relation: normalized('media_files'), columns: ['id'] }],
};

const legacyGeneratedVideos: Target = {
  name: 'generated_videos',
  relation: legacy('generated_videos'),
  view: wayBack('generated_videos'),
  scope: ['id'],
  writes: 'rows',
  scopesOf: {
    generation_jobs: ownKey,
    // A job that has lost its file has an event of its own.
    media_files: forEachChanged('SELECT gj.id FROM public.generation_jobs gj WHERE gj.output_file_id = c.id'),
    video_projects: forEachChanged(
      `SELECT gv.id FROM public.generated_videos gv WHERE gv.project_id = c.id AND ${neverCarried.video}`,
    ),
    users: forEachChanged(
      `SELECT gv.id FROM public.video_projects vp JOIN public.generated_videos gv ON gv.project_id = vp.id
       WHERE vp.user_id = c.id AND ${neverCarried.video}`,
    ),
  },
  walk: [{ relation: normalized('generation_jobs'), columns: ['id'] }],
};

const guarded = (...names: readonly string[]): Guard[] => names.map((name) => ({ relation: legacy(name) }));

/**
 * The application asks these flags which schema it is to use. Who is allowed or denied by name (app/flags/rule.ts) stays so:
 * the lists are the team's, and would be missed after a rollback.
 */
const flagsTo = (value: boolean): string => `
  INSERT INTO public.system_settings AS s (key, value, description)
  SELECT flag.key, to_jsonb(${value}), flag.description
  FROM (VALUES
    ('use_normalized_subscriptions', 'Subscriptions: user_subscriptions instead of subscriptions and users.subscription_plan'),
    ('use_unified_media', 'Files: media_files and project_media instead of photos and media_items'),
    ('use_enhanced_generation_jobs', 'Generated videos: generation_jobs instead of generated_videos')
  ) AS flag (key, description)
  ON CONFLICT (key) DO UPDATE SET updated_at = now(), value = CASE
    WHEN s.value ?| ARRAY['allow', 'deny'] THEN jsonb_strip_nulls(jsonb_build_object(
      'state', '${value ? 'on' : 'off'}', 'allow', s.value -> 'allow', 'deny', s.value -> 'deny'))
    ELSE excluded.value
  END`;

/**
 * PhotoMemory: from the denormalized schema to the normalized one. The mapping is in the views of 004-006; here is what
 * drives it. A change that names a project, its photos or its videos is routed by the project, so that what touches the
 * same scopes waits in one line.
 */
export const migration: Migration = {
  name: 'photomemory',
  upkeep: {
    'monthly partitions of audit_logs': 'SELECT public.ensure_audit_log_partitions(3)',
    'refresh of user_analytics_summary': 'SELECT public.refresh_user_analytics_summary()',
  },
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
  reverse: {
    sources: [
      { name: 'users', relation: legacy('users'), key: ['id'], routing: [] },
      { name: 'video_projects', relation: legacy('video_projects'), key: ['id'], routing: [] },
      { name: 'user_subscriptions', relation: normalized('user_subscriptions'), key: ['id'], routing: ['user_id'] },
      { name: 'media_files', relation: normalized('media_files'), key: ['id'], routing: ['user_id'] },
      {
        name: 'project_media',
        relation: normalized('project_media'),
        key: ['id'],
        routing: ['project_id', 'media_file_id'],
      },
      { name: 'generation_jobs', relation: normalized('generation_jobs'), key: ['id'], routing: [] },
    ],
    targets: [legacySubscriptions, legacyUsers, legacyPhotos, legacyMediaItems, legacyGeneratedVideos],
    losses: 'SELECT target, key, column_name, reason FROM lockstep_reverse.losses',
  },
  guards: {
    legacy: [
      ...guarded('subscriptions', 'photos', 'media_items', 'generated_videos'),
      { relation: legacy('users'), columns: ['subscription_plan', 'total_storage_bytes'] },
    ],
    normalized: guarded('user_subscriptions', 'media_files', 'project_media', 'generation_jobs'),
  },
  flags: { forward: flagsTo(false), reverse: flagsTo(true) },
};
