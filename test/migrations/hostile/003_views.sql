CREATE SCHEMA lockstep_forward;
CREATE SCHEMA lockstep_reverse;

CREATE VIEW lockstep_forward."view ""of"" table's" AS
SELECT "primary" AS "references", "näme 💾 %s" AS "NATURAL join", "order ""by""" AS "group", "a.b.c" AS "select",
       "$witness$ $$" AS "$witness$", "constraint" AS "null",
       "x23456789012345678901234567890123456789012345678901234567890123" AS "y23456789012345678901234567890123456789012345678901234567890123"
FROM "old ""quoted"" schema; --"."select ""from"" user's $1";
CREATE VIEW lockstep_forward."EXTREMES" AS SELECT * FROM "old ""quoted"" schema; --".extremes;

CREATE VIEW lockstep_reverse."view ""of"" select's" AS
SELECT "references" AS "primary", "NATURAL join" AS "näme 💾 %s", "group" AS "order ""by""", "select" AS "a.b.c",
       "$witness$" AS "$witness$ $$", "null" AS "constraint",
       "y23456789012345678901234567890123456789012345678901234567890123" AS "x23456789012345678901234567890123456789012345678901234567890123"
FROM "NEW'schema"."table";
CREATE VIEW lockstep_reverse.extremes AS SELECT * FROM "NEW'schema"."EXTREMES";
