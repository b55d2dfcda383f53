-- lockstep: phase completion
-- squawk-ignore-file ban-drop-table
-- `lockstep complete` takes this backup while the legacy table is still kept in step, and takes it anew in each try until
-- the phase has changed. What LIKE leaves out or renames is recorded as statements, for rollback_to_legacy.sql.

DO $$
BEGIN
  IF (SELECT phase FROM lockstep.phase) = 'complete' THEN
    RAISE EXCEPTION 'the legacy table is no longer kept in step: what it holds is no backup';
  END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS shop_backup;
DROP TABLE IF EXISTS shop_backup.orders;

-- Nothing but readers while it is copied.
LOCK TABLE shop.orders IN SHARE MODE;
CREATE TABLE shop_backup.orders (LIKE shop.orders INCLUDING ALL);
SELECT lockstep.copy_rows('shop.orders', 'shop_backup.orders');

SELECT lockstep.record_definitions('shop.orders');
SELECT lockstep.record_views('lockstep_forward');
SELECT lockstep.record_views('lockstep_reverse');
