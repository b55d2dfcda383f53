-- lockstep: phase complete
-- squawk-ignore-file ban-drop-table
-- Due once `lockstep complete` has compared every row and changed the phase. Without CASCADE: whatever else depends on the
-- tables stops the step, and the server names it.

SELECT lockstep.drop_recorded_views('lockstep_reverse');
SELECT lockstep.drop_recorded_views('lockstep_forward');

DROP TABLE bank.bookings;
DROP TABLE bank.accounts;
