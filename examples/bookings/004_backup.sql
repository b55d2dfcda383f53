-- lockstep: phase completion
-- squawk-ignore-file ban-drop-table
-- `lockstep complete` takes this backup while the legacy tables are still kept in step, and takes it anew in each try until
-- the phase has changed. What LIKE leaves out or renames is recorded as statements, for rollback_to_legacy.sql.

DO $$
BEGIN
  IF (SELECT phase FROM lockstep.phase) = 'complete' THEN
    RAISE EXCEPTION 'the legacy tables are no longer kept in step: what they hold is no backup';
  END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS bank_backup;
DROP TABLE IF EXISTS bank_backup.accounts, bank_backup.bookings;

-- Nothing but readers while they are copied, so that the copies are of one moment.
LOCK TABLE bank.accounts, bank.bookings IN SHARE MODE;
CREATE TABLE bank_backup.accounts (LIKE bank.accounts INCLUDING ALL);
SELECT lockstep.copy_rows('bank.accounts', 'bank_backup.accounts');
CREATE TABLE bank_backup.bookings (LIKE bank.bookings INCLUDING ALL);
SELECT lockstep.copy_rows('bank.bookings', 'bank_backup.bookings');

SELECT lockstep.record_definitions('bank.accounts');
SELECT lockstep.record_definitions('bank.bookings');
SELECT lockstep.record_views('lockstep_forward');
SELECT lockstep.record_views('lockstep_reverse');
