-- The emergency rollback of the strategy: gives the legacy tables back from the backup of 008. `lockstep restore` runs it in
-- one transaction, with the change of the phase, and then derives from the normalized tables what has happened since the
-- backup (erratum 22: the backup alone would lose it).
--
-- Erratum 21: the same tables as before, object by object. LIKE gives columns, defaults, NOT NULL, generated and identity
-- columns and their comments; the recorded definitions give all the rest under its own names.

-- Step 1: the tables and their rows.
CREATE TABLE public.subscriptions
  (LIKE migration_backup.subscriptions_backup INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING STATISTICS);
CREATE TABLE public.photos
  (LIKE migration_backup.photos_backup INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING STATISTICS);
CREATE TABLE public.media_items
  (LIKE migration_backup.media_items_backup INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING STATISTICS);
CREATE TABLE public.generated_videos
  (LIKE migration_backup.generated_videos_backup INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING STATISTICS);

-- Rows of users and projects that have been deleted since stay deleted; those that were orphans at the backup are kept.
SELECT lockstep.copy_rows('migration_backup.subscriptions_backup', 'public.subscriptions', $$
  EXISTS (SELECT FROM public.users p WHERE p.id = b.user_id)
  OR NOT EXISTS (SELECT FROM migration_backup.users_backup k WHERE k.id = b.user_id)$$);
SELECT lockstep.copy_rows('migration_backup.photos_backup', 'public.photos', $$
  EXISTS (SELECT FROM public.video_projects p WHERE p.id = b.project_id)
  OR NOT EXISTS (SELECT FROM migration_backup.video_projects_known k WHERE k.id = b.project_id)$$);
SELECT lockstep.copy_rows('migration_backup.media_items_backup', 'public.media_items', $$
  EXISTS (SELECT FROM public.users p WHERE p.id = b.user_id)
  OR NOT EXISTS (SELECT FROM migration_backup.users_backup k WHERE k.id = b.user_id)$$);
SELECT lockstep.copy_rows('migration_backup.generated_videos_backup', 'public.generated_videos', $$
  EXISTS (SELECT FROM public.video_projects p WHERE p.id = b.project_id)
  OR NOT EXISTS (SELECT FROM migration_backup.video_projects_known k WHERE k.id = b.project_id)$$);

-- Step 4 of the strategy before 2 and 3: the legacy columns of users, with the values they had; users since get the defaults.
SELECT lockstep.execute_definitions('public.users', of_kinds => ARRAY['column']);
UPDATE public.users u
SET subscription_plan = b.subscription_plan, total_storage_bytes = b.total_storage_bytes
FROM migration_backup.users_backup b
WHERE b.id = u.id;

-- Steps 2 and 3: constraints, indexes, foreign keys, triggers, privileges, comments; and the views of the mapping.
SELECT lockstep.execute_definitions('public.subscriptions');
SELECT lockstep.execute_definitions('public.photos');
SELECT lockstep.execute_definitions('public.media_items');
SELECT lockstep.execute_definitions('public.generated_videos');
SELECT lockstep.execute_definitions('views of lockstep_forward');
SELECT lockstep.execute_definitions('views of lockstep_reverse');

-- Where the application's shadow reads keep what they find, with the privileges on it.
SELECT lockstep.execute_definitions('schema lockstep_app');
CREATE TABLE lockstep_app.shadow_reads
  (LIKE migration_backup.shadow_reads_backup INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING STATISTICS);
CREATE TABLE lockstep_app.shadow_differences
  (LIKE migration_backup.shadow_differences_backup INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING STATISTICS);
SELECT lockstep.copy_rows('migration_backup.shadow_reads_backup', 'lockstep_app.shadow_reads');
SELECT lockstep.copy_rows('migration_backup.shadow_differences_backup', 'lockstep_app.shadow_differences');
SELECT lockstep.execute_definitions('lockstep_app.shadow_reads');
SELECT lockstep.execute_definitions('lockstep_app.shadow_differences');

-- Erratum 23: both columns come from the new schema, not the plan alone.
UPDATE public.users u
SET subscription_plan = r.subscription_plan, total_storage_bytes = r.total_storage_bytes
FROM lockstep_reverse.users r
WHERE r.id = u.id
  AND (u.subscription_plan, u.total_storage_bytes) IS DISTINCT FROM (r.subscription_plan, r.total_storage_bytes);
-- The triggers of users last: the guard among them refuses writes to these columns.
SELECT lockstep.execute_definitions('public.users', but_kinds => ARRAY['column']);

ANALYZE public.subscriptions;
ANALYZE public.photos;
ANALYZE public.media_items;
ANALYZE public.generated_videos;

INSERT INTO migration_backup.migration_log (table_name, backup_row_count)
VALUES ('LEGACY_RESTORED', 0);

-- Step 5 of the strategy, the application's configuration: the phase is `reverse` again, so the application goes on with the
-- normalized tables until `lockstep rollback`.
DO $$
BEGIN
  RAISE NOTICE 'Rollback to legacy schema completed.';
END $$;
