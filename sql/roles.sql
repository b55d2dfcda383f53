-- The roles that Lockstep connects as, each with what it needs and no more. Run it as the owner of the tables, after
-- `lockstep migrate`, and again after any later `migrate`: repeating it changes nothing. Passwords are not set here; use
-- \password, the secret's rotation, or IAM authentication.
--
--   lockstep_listener   reads the slot, writes the ledger. It cannot read a single table of the application: what it
--                       learns about their rows is what the publication's column lists let through.
--   lockstep_applier    reads the legacy tables, writes the normalized ones.
--   lockstep_validator  reads both sides, writes neither: only its own findings. It also does the scheduled upkeep.
--   lockstep_monitor    reads how far the migration is; no row of the application, on either side.
--   lockstep_operator   applier and validator, and the engine's state: pause, retry, cutover.
--   lockstep_application  not a login: what app/ needs beyond the rights that the application has on its own tables.
--                       GRANT lockstep_application TO the role that the application connects as.

DO $$
DECLARE
  role_name TEXT;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['lockstep_listener', 'lockstep_applier', 'lockstep_validator', 'lockstep_monitor', 'lockstep_operator'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I LOGIN', role_name);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      -- Roles belong to the whole cluster: another database of it, or another run at this moment, has made it.
      NULL;
    END;
  END LOOP;

  -- On Amazon RDS the right to replicate is a membership, elsewhere an attribute.
  -- https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.FeatureSupport.LogicalReplication.html
  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rds_replication') THEN
    GRANT rds_replication TO lockstep_listener;
  ELSIF NOT (SELECT rolreplication FROM pg_catalog.pg_roles WHERE rolname = 'lockstep_listener') THEN
    ALTER ROLE lockstep_listener REPLICATION;
  END IF;

  EXECUTE format(
    'GRANT CONNECT ON DATABASE %I TO lockstep_listener, lockstep_applier, lockstep_validator, lockstep_monitor, lockstep_operator',
    current_database());
END $$;

GRANT USAGE ON SCHEMA lockstep TO lockstep_listener, lockstep_applier, lockstep_validator, lockstep_monitor,
  lockstep_operator;
GRANT USAGE ON SCHEMA public, lockstep_forward, lockstep_reverse TO lockstep_applier, lockstep_validator, lockstep_operator;

-- Listener: its stream (the epoch that fences a predecessor), the ledger, and the request for a first backfill, which it
-- takes back when the changes that asked for it will be read again.
GRANT SELECT ON lockstep.phase, lockstep.phase_change, lockstep.armed TO lockstep_listener;
-- Notes that the WAL is beyond a change of the phase, so that whoever begins there knows which it is in.
GRANT UPDATE (settled_lsn) ON lockstep.phase_change TO lockstep_listener;
GRANT SELECT, INSERT, UPDATE ON lockstep.stream TO lockstep_listener;
GRANT SELECT, INSERT, DELETE ON lockstep.in_flight TO lockstep_listener;
GRANT SELECT, INSERT, DELETE ON lockstep.backfill, lockstep.backfill_target TO lockstep_listener;

-- Applier: strikes out ledger entries, keeps quarantine and the backfill's cursors.
GRANT SELECT ON lockstep.phase, lockstep.stream TO lockstep_applier;
GRANT SELECT, DELETE ON lockstep.in_flight TO lockstep_applier;
-- It updates none, but holds the entry of a backfill while it begins it: FOR KEY SHARE asks for the privilege.
GRANT UPDATE (id) ON lockstep.in_flight TO lockstep_applier;
GRANT SELECT, INSERT, UPDATE, DELETE ON lockstep.quarantine, lockstep.backfill, lockstep.backfill_target TO lockstep_applier;
GRANT SELECT ON ALL TABLES IN SCHEMA lockstep_forward TO lockstep_applier, lockstep_validator;
GRANT SELECT ON ALL TABLES IN SCHEMA lockstep_reverse TO lockstep_applier, lockstep_validator;
GRANT SELECT ON public.users, public.video_projects, public.subscription_plans TO lockstep_applier, lockstep_validator;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.user_subscriptions, public.media_files, public.project_media,
  public.generation_jobs TO lockstep_applier;

-- The legacy side, as long as it exists. The applier writes it only after a cutover, when guards keep everyone else out;
-- of users it writes the two columns that legacy keeps there.
DO $$
BEGIN
  IF to_regclass('public.photos') IS NOT NULL THEN
    GRANT SELECT ON public.subscriptions, public.photos, public.media_items, public.generated_videos
      TO lockstep_applier, lockstep_validator;
    GRANT INSERT, UPDATE, DELETE ON public.subscriptions, public.photos, public.media_items, public.generated_videos
      TO lockstep_applier;
    GRANT UPDATE (subscription_plan, total_storage_bytes) ON public.users TO lockstep_applier;
  END IF;
END $$;

-- Validator.
GRANT SELECT ON public.user_subscriptions, public.media_files, public.project_media, public.generation_jobs
  TO lockstep_validator;
GRANT SELECT ON ALL TABLES IN SCHEMA lockstep TO lockstep_validator;
GRANT INSERT, UPDATE, DELETE ON lockstep.validation TO lockstep_validator;
GRANT INSERT, UPDATE ON lockstep.validation_target, lockstep.drift TO lockstep_validator;
-- What a validation has compared need not be compared again at a cutover.
GRANT DELETE ON lockstep.touched TO lockstep_validator;
-- Whether anything was entered in the ledger meanwhile tells a failed check from one that changes on their way explain.
GRANT SELECT ON ALL SEQUENCES IN SCHEMA lockstep TO lockstep_validator;

-- Monitor: the engine's state without what lockstep.drift holds of rows, and everyone's statistics.
GRANT SELECT ON lockstep.phase, lockstep.phase_change, lockstep.armed, lockstep.stream, lockstep.in_flight,
  lockstep.quarantine, lockstep.backfill, lockstep.backfill_target, lockstep.validation, lockstep.validation_target
  TO lockstep_monitor;
-- How much has drifted, by column: not which row, and not its values.
GRANT SELECT (direction, target, validation_id, quarantined, ended_at) ON lockstep.drift TO lockstep_monitor;
GRANT SELECT ON lockstep.phase_change TO lockstep_monitor;
GRANT pg_read_all_stats TO lockstep_monitor;

-- Operator. It may also read the statistics that monitoring.sql shows, and make the audit partitions ahead of time.
GRANT lockstep_applier, lockstep_validator TO lockstep_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA lockstep TO lockstep_operator;
-- A cutover locks tables that the owner has armed, and lets their guards change sides; both with the owner's rights.
GRANT EXECUTE ON FUNCTION lockstep.lock_tables(OID[]), lockstep.set_triggers(TEXT, BOOLEAN) TO lockstep_operator;
-- A cutover turns the application's flags.
GRANT SELECT, INSERT, UPDATE ON public.system_settings TO lockstep_operator;
GRANT EXECUTE ON FUNCTION public.refresh_user_analytics_summary() TO lockstep_validator, lockstep_operator;
GRANT EXECUTE ON FUNCTION public.ensure_audit_log_partitions(INTEGER) TO lockstep_validator, lockstep_operator;
-- A backfill and a validation yield to sessions that wait or work, whoever they belong to.
GRANT pg_read_all_stats TO lockstep_applier, lockstep_validator, lockstep_operator;

-- Application: phase, flags and how far the normalized tables are; the normalized tables, which it writes after the cutover;
-- what its shadow reads find.
DO $$
BEGIN
  CREATE ROLE lockstep_application NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;
END $$;
GRANT USAGE ON SCHEMA public, lockstep TO lockstep_application;
GRANT SELECT ON lockstep.phase, lockstep.stream, lockstep.in_flight, lockstep.backfill TO lockstep_application;
GRANT SELECT ON public.system_settings, public.subscription_plans TO lockstep_application;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.user_subscriptions, public.media_files, public.project_media,
  public.generation_jobs TO lockstep_application;
-- log_audit_event answers the id of the row that it has written.
GRANT INSERT, SELECT (id) ON public.audit_logs TO lockstep_application;
-- As long as there are two sides to compare.
DO $$
BEGIN
  IF to_regnamespace('lockstep_app') IS NOT NULL THEN
    GRANT USAGE ON SCHEMA lockstep_app TO lockstep_application;
    GRANT SELECT, INSERT, UPDATE ON lockstep_app.shadow_reads, lockstep_app.shadow_differences TO lockstep_application;
  END IF;
END $$;
