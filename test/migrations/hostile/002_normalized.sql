CREATE SCHEMA "NEW'schema";

CREATE TABLE "NEW'schema"."table" (
  "references" TEXT NOT NULL,
  "NATURAL join" INTEGER NOT NULL,
  "group" TEXT NOT NULL,
  "select" JSONB,
  "$witness$" TEXT,
  "null" BOOLEAN,
  "y23456789012345678901234567890123456789012345678901234567890123" BIGINT,
  PRIMARY KEY ("references", "NATURAL join")
);
CREATE INDEX ON "NEW'schema"."table" ("group");
CREATE TABLE "NEW'schema"."EXTREMES" (LIKE "old ""quoted"" schema; --".extremes INCLUDING ALL);
