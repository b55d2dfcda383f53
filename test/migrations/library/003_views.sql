CREATE SCHEMA lockstep_forward;
CREATE SCHEMA lockstep_reverse;

CREATE VIEW lockstep_forward.memberships AS SELECT id AS person_id, plan FROM library.people;
-- A loan without a title cannot come back as it was.
CREATE VIEW lockstep_forward.borrowings AS
SELECT id, person_id, coalesce(title, '(untitled)') AS title, note AS remark FROM library.loans;

CREATE VIEW lockstep_reverse.people AS SELECT person_id AS id, plan FROM library.memberships;
CREATE VIEW lockstep_reverse.loans AS SELECT id, person_id, title, remark AS note FROM library.borrowings;
