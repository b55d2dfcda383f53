-- lockstep: phase complete
-- squawk-ignore-file ban-drop-table, ban-drop-column, require-concurrent-index-deletion
-- Phase 4.4 of the strategy. `lockstep complete` has compared every row and changed the phase; from then on nothing keeps
-- the legacy tables in step, and only then this step is due. sql/rollback_to_legacy.sql (`lockstep restore`) undoes it.
--
-- The strategy's final validation asks validate_migration_consistency(), which compares as if legacy were the truth: a
-- job for something else than a video, or a user without a subscription, would fail it for ever (errata 8 and 9 again). What
-- has to be true is that the legacy tables hold nothing but what the normalized ones say, row by row; this asks for the proof.

DO $$
DECLARE
  failed_checks INTEGER := 0;
  since TIMESTAMPTZ := (SELECT max(changed_at) FROM lockstep.phase_change WHERE to_phase = 'reverse');
BEGIN
  IF (SELECT phase FROM lockstep.phase) <> 'complete' THEN
    RAISE EXCEPTION 'The migration is not complete: run `lockstep complete`. Nothing was dropped.';
  END IF;
  IF NOT EXISTS (
    SELECT FROM lockstep.validation v
    WHERE v.direction = 'reverse' AND v.verdict = 'agrees' AND v.sample_percent IS NULL AND cardinality(v.targets) = 5
      AND v.finished_at IS NOT NULL AND v.started_at >= coalesce(since, v.started_at)
  ) THEN
    failed_checks := failed_checks + 1;
    RAISE NOTICE 'VALIDATION FAILED: no validation has found every legacy row to be what the normalized tables say';
  END IF;
  IF EXISTS (SELECT FROM lockstep.drift d WHERE d.direction = 'reverse' AND d.ended_at IS NULL AND NOT d.quarantined) THEN
    failed_checks := failed_checks + 1;
    RAISE NOTICE 'VALIDATION FAILED: rows differ (lockstep.drift)';
  END IF;
  IF EXISTS (SELECT FROM lockstep.quarantine q WHERE q.direction = 'reverse') THEN
    failed_checks := failed_checks + 1;
    RAISE NOTICE 'VALIDATION FAILED: rows could not be written to legacy (lockstep.quarantine)';
  END IF;
  IF failed_checks > 0 THEN
    RAISE EXCEPTION 'Migration validation failed. Cannot proceed with legacy table cleanup. Nothing was dropped.';
  END IF;
  -- Erratum 20: inside of a DO block.
  RAISE NOTICE 'All validations passed. Proceeding with legacy table cleanup.';
END $$;

-- No CASCADE: it would take along views and foreign keys that are not this migration's. Whatever else depends on these
-- tables stops the step, and the server names it. Ours is dropped by name, and recorded in 008.
SELECT lockstep.drop_recorded_views('lockstep_reverse');
SELECT lockstep.drop_recorded_views('lockstep_forward');
SELECT lockstep.drop_recorded_references('public.subscriptions');
SELECT lockstep.drop_recorded_references('public.photos');
SELECT lockstep.drop_recorded_references('public.media_items');
SELECT lockstep.drop_recorded_references('public.generated_videos');
SELECT lockstep.release_recorded_sequences('public.subscriptions');
SELECT lockstep.release_recorded_sequences('public.photos');
SELECT lockstep.release_recorded_sequences('public.media_items');
SELECT lockstep.release_recorded_sequences('public.generated_videos');

ALTER TABLE IF EXISTS public.subscriptions DROP CONSTRAINT IF EXISTS subscriptions_user_id_fkey;

DROP TABLE IF EXISTS public.subscriptions;
DROP TABLE IF EXISTS public.photos;
DROP TABLE IF EXISTS public.media_items;
DROP TABLE IF EXISTS public.generated_videos;

DROP INDEX IF EXISTS public.idx_users_subscription;
SELECT lockstep.drop_recorded_triggers('public.users');
ALTER TABLE public.users DROP COLUMN IF EXISTS subscription_plan;
ALTER TABLE public.users DROP COLUMN IF EXISTS total_storage_bytes;

-- Not in the strategy: what the application's shadow reads have found (007). There is one side now.
DROP TABLE IF EXISTS lockstep_app.shadow_reads;
DROP TABLE IF EXISTS lockstep_app.shadow_differences;
DROP SCHEMA IF EXISTS lockstep_app;

INSERT INTO migration_backup.migration_log (table_name, backup_row_count)
VALUES ('MIGRATION_COMPLETED', 0);

DO $$
BEGIN
  RAISE NOTICE 'Legacy table cleanup completed successfully.';
END $$;
