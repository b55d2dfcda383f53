-- `lockstep restore` runs this in one transaction, with the change of the phase, and then derives from the normalized tables
-- what has happened since the backup.

CREATE TABLE bank.accounts
  (LIKE bank_backup.accounts INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING STATISTICS);
CREATE TABLE bank.bookings
  (LIKE bank_backup.bookings INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING STATISTICS);
SELECT lockstep.copy_rows('bank_backup.accounts', 'bank.accounts');
SELECT lockstep.copy_rows('bank_backup.bookings', 'bank.bookings');

SELECT lockstep.execute_definitions('bank.accounts');
SELECT lockstep.execute_definitions('bank.bookings');
SELECT lockstep.execute_definitions('views of lockstep_forward');
SELECT lockstep.execute_definitions('views of lockstep_reverse');

ANALYZE bank.accounts, bank.bookings;
