-- Names that break whoever forgets to quote: quotes of both kinds, spaces, reserved words, other scripts, placeholders, the
-- tags of dollar quotes, and as many bytes as PostgreSQL takes.
CREATE SCHEMA "old ""quoted"" schema; --";

CREATE TABLE "old ""quoted"" schema; --"."select ""from"" user's $1" (
  "primary" TEXT NOT NULL,
  "näme 💾 %s" INTEGER NOT NULL,
  "order ""by""" TEXT NOT NULL,
  "a.b.c" JSONB,
  "$witness$ $$" TEXT,
  "constraint" BOOLEAN,
  "x23456789012345678901234567890123456789012345678901234567890123" BIGINT,
  PRIMARY KEY ("primary", "näme 💾 %s")
);
CREATE INDEX ON "old ""quoted"" schema; --"."select ""from"" user's $1" ("order ""by""");

-- A column of each type, for values at its limits.
CREATE TABLE "old ""quoted"" schema; --".extremes (
  id BIGINT PRIMARY KEY,
  a_smallint SMALLINT,
  an_integer INTEGER,
  a_bigint BIGINT,
  a_numeric NUMERIC,
  a_money NUMERIC(12,2),
  a_real REAL,
  a_double DOUBLE PRECISION,
  a_text TEXT,
  a_varchar VARCHAR(5),
  a_char CHAR(5),
  bytes BYTEA,
  a_boolean BOOLEAN,
  a_date DATE,
  a_time TIME,
  a_timetz TIMETZ,
  a_timestamp TIMESTAMP,
  a_timestamptz TIMESTAMPTZ,
  an_interval INTERVAL,
  a_uuid UUID,
  a_jsonb JSONB,
  a_json JSON,
  an_xml XML,
  integers INTEGER[],
  numbers NUMERIC[],
  texts TEXT[],
  a_range INT4RANGE,
  times TSTZRANGE,
  ranges NUMMULTIRANGE,
  an_inet INET,
  bits BIT VARYING,
  a_point POINT,
  words TSVECTOR
);
