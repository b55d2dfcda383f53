-- lockstep: phase completion
-- squawk-ignore-file ban-drop-table, prefer-identity
-- Phase 4.1 of the strategy: the backup. `lockstep complete` takes it, while the legacy tables are still kept in step with
-- the normalized ones, and takes it anew in each try until the phase has changed.
--
-- Erratum 21: CREATE TABLE AS loses keys, defaults, constraints, indexes, privileges and triggers. Here each backup is LIKE
-- its table INCLUDING ALL, and lockstep.definition records as statements what LIKE leaves out or renames.

DO $$
BEGIN
  IF (SELECT phase FROM lockstep.phase) = 'complete' THEN
    RAISE EXCEPTION 'the legacy tables are gone, or no longer kept in step: what they hold is no backup';
  END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS migration_backup;
DROP TABLE IF EXISTS migration_backup.subscriptions_backup, migration_backup.photos_backup, migration_backup.media_items_backup,
  migration_backup.generated_videos_backup, migration_backup.usage_records_backup, migration_backup.users_backup,
  migration_backup.video_projects_known, migration_backup.shadow_reads_backup, migration_backup.shadow_differences_backup;

-- Nothing but readers while they are copied, so that the copies are of one moment; merges wait, and nobody else writes.
LOCK TABLE public.subscriptions, public.photos, public.media_items, public.generated_videos IN SHARE MODE;

CREATE TABLE migration_backup.subscriptions_backup (LIKE public.subscriptions INCLUDING ALL);
SELECT lockstep.copy_rows('public.subscriptions', 'migration_backup.subscriptions_backup');
CREATE TABLE migration_backup.photos_backup (LIKE public.photos INCLUDING ALL);
SELECT lockstep.copy_rows('public.photos', 'migration_backup.photos_backup');
CREATE TABLE migration_backup.media_items_backup (LIKE public.media_items INCLUDING ALL);
SELECT lockstep.copy_rows('public.media_items', 'migration_backup.media_items_backup');
CREATE TABLE migration_backup.generated_videos_backup (LIKE public.generated_videos INCLUDING ALL);
SELECT lockstep.copy_rows('public.generated_videos', 'migration_backup.generated_videos_backup');
-- Erratum 25: a table that stays.
CREATE TABLE migration_backup.usage_records_backup (LIKE public.usage_records INCLUDING ALL);
SELECT lockstep.copy_rows('public.usage_records', 'migration_backup.usage_records_backup');
-- Not in the strategy: the columns that 010 drops from users, and which projects there were. A row of the backup whose user
-- or project has been deleted since is left out when the tables are restored; one that was an orphan before is not.
CREATE TABLE migration_backup.users_backup (id UUID PRIMARY KEY, subscription_plan VARCHAR(20), total_storage_bytes BIGINT);
INSERT INTO migration_backup.users_backup SELECT id, subscription_plan, total_storage_bytes FROM public.users;
CREATE TABLE migration_backup.video_projects_known (id UUID PRIMARY KEY);
INSERT INTO migration_backup.video_projects_known SELECT id FROM public.video_projects;

-- What the shadow reads have found: there is nothing to compare when legacy is gone (010), and again after a `restore`.
CREATE TABLE migration_backup.shadow_reads_backup (LIKE lockstep_app.shadow_reads INCLUDING ALL);
SELECT lockstep.copy_rows('lockstep_app.shadow_reads', 'migration_backup.shadow_reads_backup');
CREATE TABLE migration_backup.shadow_differences_backup (LIKE lockstep_app.shadow_differences INCLUDING ALL);
SELECT lockstep.copy_rows('lockstep_app.shadow_differences', 'migration_backup.shadow_differences_backup');

SELECT lockstep.record_schema('lockstep_app');
SELECT lockstep.record_definitions('lockstep_app.shadow_reads');
SELECT lockstep.record_definitions('lockstep_app.shadow_differences');
SELECT lockstep.record_definitions('public.subscriptions');
SELECT lockstep.record_definitions('public.photos');
SELECT lockstep.record_definitions('public.media_items');
SELECT lockstep.record_definitions('public.generated_videos');
SELECT lockstep.record_definitions('public.users', ARRAY['subscription_plan', 'total_storage_bytes']);
SELECT lockstep.record_views('lockstep_forward');
SELECT lockstep.record_views('lockstep_reverse');

CREATE TABLE IF NOT EXISTS migration_backup.migration_log (
  id SERIAL PRIMARY KEY,
  table_name VARCHAR(100),
  backup_row_count BIGINT,
  backup_created_at TIMESTAMPTZ DEFAULT now()
);

INSERT INTO migration_backup.migration_log (table_name, backup_row_count)
SELECT 'subscriptions', count(*) FROM migration_backup.subscriptions_backup
UNION ALL
SELECT 'photos', count(*) FROM migration_backup.photos_backup
UNION ALL
SELECT 'media_items', count(*) FROM migration_backup.media_items_backup
UNION ALL
SELECT 'generated_videos', count(*) FROM migration_backup.generated_videos_backup
UNION ALL
SELECT 'usage_records', count(*) FROM migration_backup.usage_records_backup
UNION ALL
SELECT 'users', count(*) FROM migration_backup.users_backup;
