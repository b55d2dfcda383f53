-- A small library whose way back is whole but for what losses names. `people` stays: only its column `plan` is legacy.
CREATE SCHEMA library;

CREATE TABLE library.people (
  id BIGINT PRIMARY KEY,
  name TEXT NOT NULL,
  plan TEXT NOT NULL DEFAULT 'basic'
);
CREATE TABLE library.loans (
  id BIGINT PRIMARY KEY,
  person_id BIGINT NOT NULL REFERENCES library.people (id) ON DELETE CASCADE,
  title TEXT,
  note TEXT
);
CREATE INDEX ON library.loans (person_id);
CREATE TABLE library.settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO library.settings VALUES ('use_borrowings', 'no');
