-- `lockstep restore` runs this in one transaction, with the change of the phase, and then derives from the normalized tables
-- what has happened since the backup.

CREATE TABLE shop.orders
  (LIKE shop_backup.orders INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING STATISTICS);
SELECT lockstep.copy_rows('shop_backup.orders', 'shop.orders');

SELECT lockstep.execute_definitions('shop.orders');
SELECT lockstep.execute_definitions('views of lockstep_forward');
SELECT lockstep.execute_definitions('views of lockstep_reverse');

ANALYZE shop.orders;
