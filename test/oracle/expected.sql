-- What the normalized tables should hold, written from the strategy's INSERT ... SELECT and the errata, into temporary
-- tables oracle_<table>. It shares nothing with the views of sql/: where both could say one thing in two ways, this is
-- the other way. `oracle_refused` are the scopes that the new schema cannot store; with certain = false it depends on
-- the order of events whether it can; moved: because a row of theirs is held elsewhere, or they hold one of another.
SET LOCAL TimeZone = 'UTC';

CREATE TEMP TABLE oracle_refused (target text, scope uuid, certain boolean, moved boolean DEFAULT false) ON COMMIT DROP;

-- 004 -----------------------------------------------------------------------------------------------------------------
CREATE TEMP TABLE candidate_subscriptions ON COMMIT DROP AS
SELECT
  CASE WHEN s.id IS NULL THEN u.id ELSE s.id END AS id,
  u.id AS user_id,
  u.subscription_plan AS plan_id,
  CASE
    WHEN s.status IS NOT NULL THEN s.status::text::subscription_status
    ELSE 'active'::subscription_status
  END AS status,
  COALESCE(s.current_period_start, u.created_at) AS current_period_start,
  COALESCE(s.current_period_end, u.created_at + INTERVAL '1 month') AS current_period_end,
  s.stripe_subscription_id,
  s.stripe_customer_id,
  u.created_at,
  u.updated_at,
  s.created_at AS subscribed_at
FROM users u
LEFT JOIN subscriptions s ON u.id = s.user_id;
CREATE INDEX ON candidate_subscriptions (user_id);
ANALYZE candidate_subscriptions;

-- Erratum 4.
UPDATE candidate_subscriptions c SET status = 'cancelled'
WHERE c.status = 'active' AND EXISTS (
  SELECT FROM candidate_subscriptions better
  WHERE better.user_id = c.user_id AND better.status = 'active'
    AND (better.current_period_end, better.subscribed_at, better.id) > (c.current_period_end, c.subscribed_at, c.id)
);

INSERT INTO oracle_refused
SELECT DISTINCT 'user_subscriptions', user_id, true FROM candidate_subscriptions
WHERE plan_id IS NULL
  OR plan_id NOT IN (SELECT id FROM subscription_plans)
  OR length(rtrim(stripe_subscription_id, ' ')) > 255
  OR length(rtrim(stripe_customer_id, ' ')) > 255;
-- Legacy does not forbid that two users have one Stripe subscription; the new schema takes whichever comes first.
INSERT INTO oracle_refused
SELECT DISTINCT 'user_subscriptions', user_id, false FROM candidate_subscriptions
WHERE stripe_subscription_id IN (
  SELECT stripe_subscription_id FROM candidate_subscriptions GROUP BY stripe_subscription_id HAVING count(*) > 1);

-- What cannot be stored holds up others: a subscription that is to move there or has moved away from there stays where the
-- target had it, and what stays keeps its Stripe subscription from those that legacy gives it to.
DO $$
BEGIN
  LOOP
    INSERT INTO oracle_refused
    SELECT DISTINCT 'user_subscriptions', held.user_id, false, true
    FROM (
      SELECT unnest(CASE WHEN t.id = c.id THEN ARRAY[t.user_id, c.user_id] ELSE ARRAY[c.user_id] END) AS user_id
      FROM user_subscriptions t JOIN candidate_subscriptions c
        ON (t.id = c.id OR t.stripe_subscription_id = c.stripe_subscription_id) AND t.user_id <> c.user_id
      WHERE t.user_id IN (SELECT scope FROM oracle_refused WHERE target = 'user_subscriptions')
        OR (t.id = c.id AND c.user_id IN (SELECT scope FROM oracle_refused WHERE target = 'user_subscriptions'))
    ) AS held
    WHERE held.user_id NOT IN (SELECT scope FROM oracle_refused WHERE target = 'user_subscriptions');
    EXIT WHEN NOT FOUND;
  END LOOP;
END $$;

CREATE TEMP TABLE oracle_user_subscriptions (LIKE user_subscriptions) ON COMMIT DROP;
INSERT INTO oracle_user_subscriptions (id, user_id, plan_id, status, current_period_start, current_period_end,
  stripe_subscription_id, stripe_customer_id, created_at, updated_at)
SELECT id, user_id, plan_id, status, current_period_start, current_period_end,
  stripe_subscription_id, stripe_customer_id, created_at, updated_at
FROM candidate_subscriptions
WHERE user_id NOT IN (SELECT scope FROM oracle_refused WHERE target = 'user_subscriptions');

-- 005 -----------------------------------------------------------------------------------------------------------------
CREATE TEMP TABLE candidate_files (
  id uuid, user_id uuid, original_filename text, file_key text, file_url text, thumbnail_url text, file_type text,
  mime_type text, file_size_bytes bigint, width integer, height integer, duration_seconds integer, processing_status text,
  metadata jsonb, folder_path text, uploaded_at timestamptz, created_at timestamptz, updated_at timestamptz
) ON COMMIT DROP;

INSERT INTO candidate_files
SELECT p.id, vp.user_id, p.original_filename, 'legacy/photos/' || p.id::text, p.file_url, p.thumbnail_url, 'image',
  p.mime_type, p.file_size_bytes, p.width, p.height, NULL, 'completed', p.metadata, '/projects/' || p.project_id::text,
  p.created_at, p.created_at, p.updated_at
FROM photos p
JOIN video_projects vp ON p.project_id = vp.id
WHERE vp.user_id IN (SELECT id FROM users);

INSERT INTO candidate_files
SELECT mi.id, mi.user_id, mi.original_filename, 'legacy/media/' || mi.id::text, mi.file_url, mi.thumbnail_url,
  CASE WHEN mi.mime_type ILIKE 'image/%' THEN 'image'
       WHEN mi.mime_type ILIKE 'video/%' THEN 'video'
       WHEN mi.mime_type ILIKE 'audio/%' THEN 'audio'
       ELSE 'file' END,
  mi.mime_type, mi.file_size_bytes, mi.width, mi.height, NULL, 'completed', mi.metadata, '/library',
  mi.created_at, mi.created_at, mi.updated_at
FROM media_items mi
WHERE mi.user_id IN (SELECT id FROM users);

-- Erratum 12.
UPDATE candidate_files SET
  original_filename = CASE WHEN original_filename IS NULL THEN (
    SELECT segment FROM regexp_split_to_table(regexp_replace(file_url, '[?#].*$', ''), '/') WITH ORDINALITY AS t (segment, position)
    WHERE segment <> '' ORDER BY position DESC LIMIT 1) ELSE original_filename END,
  mime_type = CASE WHEN mime_type IS NULL THEN 'application/octet-stream' ELSE mime_type END,
  file_size_bytes = CASE WHEN file_size_bytes IS NULL THEN 0 ELSE file_size_bytes END
WHERE original_filename IS NULL OR mime_type IS NULL OR file_size_bytes IS NULL;

-- The media files of 006.
INSERT INTO candidate_files
SELECT gv.id, vp.user_id, 'generated_video_' || gv.id::text || '.mp4', 'generated/videos/' || gv.id::text, gv.file_url,
  gv.thumbnail_url, 'video', 'video/mp4', COALESCE(gv.file_size_bytes, 0), NULL, NULL, gv.duration_seconds,
  CASE WHEN gv.status::text IN ('completed', 'failed') THEN gv.status::text ELSE 'processing' END,
  jsonb_build_object('generation_job_id', gv.id, 'ai_prompt', gv.ai_prompt), '/generated/' || gv.project_id::text,
  CASE WHEN gv.completed_at IS NULL THEN gv.created_at ELSE gv.completed_at END, gv.created_at, gv.updated_at
FROM generated_videos gv
JOIN video_projects vp ON gv.project_id = vp.id
WHERE gv.file_url IS NOT NULL AND vp.user_id IN (SELECT id FROM users);

INSERT INTO oracle_refused
SELECT DISTINCT 'media_files', id, true FROM candidate_files
WHERE original_filename IS NULL OR length(rtrim(original_filename, ' ')) > 255
  OR length(rtrim(mime_type, ' ')) > 100 OR file_url IS NULL;
-- One id in two legacy tables.
INSERT INTO oracle_refused
SELECT 'media_files', id, true FROM candidate_files GROUP BY id HAVING count(*) > 1;

CREATE TEMP TABLE oracle_media_files (LIKE media_files) ON COMMIT DROP;
INSERT INTO oracle_media_files (id, user_id, original_filename, file_key, file_url, thumbnail_url, file_type, mime_type,
  file_size_bytes, width, height, duration_seconds, processing_status, metadata, folder_path, uploaded_at, created_at, updated_at)
SELECT * FROM candidate_files WHERE id NOT IN (SELECT scope FROM oracle_refused WHERE target = 'media_files');

-- Erratum 13, by hand: walk through each project and give each photo its number, or the next free one.
CREATE TEMP TABLE candidate_places (photo_id uuid, project_id uuid, place bigint, added_at timestamptz) ON COMMIT DROP;
DO $$
DECLARE
  photo record;
  previous_project uuid;
  previous_place bigint;
BEGIN
  FOR photo IN
    SELECT p.id, p.project_id, p.upload_order::bigint AS wanted, p.created_at
    FROM photos p JOIN video_projects vp ON vp.id = p.project_id JOIN users u ON u.id = vp.user_id
    ORDER BY p.project_id, p.upload_order ASC NULLS LAST, p.created_at, p.id
  LOOP
    IF previous_project IS DISTINCT FROM photo.project_id THEN
      previous_place := coalesce(photo.wanted, 0);
    ELSIF photo.wanted > previous_place THEN
      previous_place := photo.wanted;
    ELSE
      previous_place := previous_place + 1;
    END IF;
    previous_project := photo.project_id;
    INSERT INTO candidate_places VALUES (photo.id, photo.project_id, previous_place, photo.created_at);
  END LOOP;
END $$;

INSERT INTO oracle_refused
SELECT DISTINCT 'project_media', project_id, true FROM candidate_places WHERE place > 2147483647;
-- A photo's place needs its media file, which may be there from the time before it was refused.
INSERT INTO oracle_refused
SELECT DISTINCT 'project_media', project_id, false FROM candidate_places
WHERE photo_id IN (SELECT scope FROM oracle_refused WHERE target = 'media_files');

-- A photo that is to move to such a project, or has moved away from it, stays where the target had it.
INSERT INTO oracle_refused
SELECT DISTINCT 'project_media', unnest(ARRAY[t.project_id, c.project_id]), false, true
FROM project_media t JOIN candidate_places c ON c.photo_id = t.id
WHERE c.project_id <> t.project_id AND EXISTS (
  SELECT FROM oracle_refused r WHERE r.target = 'project_media' AND r.scope IN (t.project_id, c.project_id));

CREATE TEMP TABLE oracle_project_media (LIKE project_media) ON COMMIT DROP;
INSERT INTO oracle_project_media (id, project_id, media_file_id, display_order, duration_seconds, transition_type, added_at)
SELECT photo_id, project_id, photo_id, place, 3.0, 'fade', added_at FROM candidate_places
WHERE project_id NOT IN (SELECT scope FROM oracle_refused WHERE target = 'project_media' AND certain)
  AND photo_id NOT IN (SELECT scope FROM oracle_refused WHERE target = 'media_files');

-- 006 -----------------------------------------------------------------------------------------------------------------
INSERT INTO oracle_refused
SELECT 'generation_jobs', gv.id, true
FROM generated_videos gv
JOIN video_projects vp ON gv.project_id = vp.id
WHERE vp.user_id IN (SELECT id FROM users) AND (
  gv.status IS NULL OR gv.status::text NOT IN ('queued', 'processing', 'completed', 'failed', 'cancelled')
  OR gv.generation_service IS NULL OR length(rtrim(gv.generation_service, ' ')) > 50
  OR length(rtrim(gv.external_generation_id, ' ')) > 255);

CREATE TEMP TABLE oracle_generation_jobs (LIKE generation_jobs) ON COMMIT DROP;
INSERT INTO oracle_generation_jobs (id, project_id, user_id, job_type, status, progress_percentage, generation_service,
  external_job_id, actual_duration_seconds, output_metadata, error_message, queued_at, started_at, completed_at, failed_at)
SELECT gv.id, gv.project_id, vp.user_id, 'video', gv.status::text::generation_status, gv.progress_percentage,
  gv.generation_service, gv.external_generation_id, gv.duration_seconds,
  jsonb_build_object('file_url', gv.file_url, 'thumbnail_url', gv.thumbnail_url, 'file_size_bytes', gv.file_size_bytes,
    'duration_seconds', gv.duration_seconds),
  gv.error_message, gv.created_at, gv.started_at, gv.completed_at, CASE WHEN gv.status = 'failed' THEN gv.updated_at END
FROM generated_videos gv
JOIN video_projects vp ON gv.project_id = vp.id
WHERE vp.user_id IN (SELECT id FROM users)
  AND gv.id NOT IN (SELECT scope FROM oracle_refused WHERE target = 'generation_jobs');

UPDATE oracle_generation_jobs gj SET output_file_id = mf.id
FROM candidate_files mf
WHERE mf.metadata->>'generation_job_id' = gj.id::text AND mf.file_key LIKE 'generated/%';

-- The prompt is with the file if there is one, and otherwise with the job.
UPDATE oracle_generation_jobs gj SET output_metadata = jsonb_set(gj.output_metadata, '{ai_prompt}', to_jsonb(gv.ai_prompt))
FROM generated_videos gv
WHERE gv.id = gj.id AND gv.ai_prompt IS NOT NULL
  AND NOT EXISTS (SELECT FROM candidate_files mf WHERE mf.id = gv.id AND mf.file_key LIKE 'generated/%');
