CREATE TABLE library.memberships (
  person_id BIGINT PRIMARY KEY REFERENCES library.people (id) ON DELETE CASCADE,
  plan TEXT NOT NULL CHECK (plan <> 'gold')
);
CREATE TABLE library.borrowings (
  id BIGINT PRIMARY KEY,
  person_id BIGINT NOT NULL REFERENCES library.people (id) ON DELETE CASCADE,
  title TEXT NOT NULL,
  remark TEXT,
  stars INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX ON library.borrowings (person_id);
