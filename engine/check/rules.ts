import type { DirectionName } from '../migration/contract.ts';

/** A mistake that a migration can have: why it matters, and what to do. docs/your-own-migration.md names each. */
export interface Rule {
  readonly reason: string;
  readonly fix: string;
}

export const checkRules = {
  'step-failed': {
    reason: 'The numbered SQL does not run on an empty database, so nothing else can be checked.',
    fix: 'Correct the statement. Step 000 makes the legacy schema; what it needs (extensions, types) belongs there.',
  },
  'declaration-invalid': {
    reason: 'What migration.ts declares and what the catalogs say do not fit.',
    fix: 'Correct migration.ts, or the table or view that the message names.',
  },
  'relation-missing': {
    reason: 'migration.ts names a table or view that the numbered SQL does not make.',
    fix: 'Correct the name in migration.ts (schema and name are written apart), or add what is missing to the SQL.',
  },
  'source-key': {
    reason: 'An event names a row by its primary key; without one, changes of the table cannot be followed.',
    fix: 'ALTER TABLE … ADD PRIMARY KEY, and declare exactly its columns as `key`, in order.',
  },
  'source-unfit': {
    reason: 'Not all changes of such a table can be captured, or publishing it would stop the application.',
    fix: 'Name an ordinary table with its default replica identity (of a partitioned one, each partition), and stored columns.',
  },
  'target-key': {
    reason:
      'The same legacy row must become the same normalized row each time: by a primary key, and a scope, that the view derives.',
    fix: 'Give the table a primary key, and the view its columns and those of `scope`.',
  },
  'view-column-missing': {
    reason: 'Every column of the view is written to the table.',
    fix: 'Add the column to the table, or take it out of the view.',
  },
  'required-column': {
    reason: 'Every row would be refused: the column must not be NULL, has no default, and the view does not derive it.',
    fix: 'Derive the column in the view, give it a DEFAULT, or allow NULL.',
  },
  'target-order': {
    reason: 'A row cannot be written before the row that it refers to.',
    fix: 'Declare the target that is referred to first.',
  },
  'statement-refused': {
    reason: 'The server refuses a statement that the engine builds from this declaration.',
    fix: 'Correct what the message names: `scopesOf`, `walk` and `losses` are SQL, and scopes and keys must have the same types on both sides.',
  },
  'undeclared-source': {
    reason: 'The view reads a table whose changes are not followed: what changes there never reaches the target.',
    fix: 'Declare the table as a source, with `scopesOf` for each target that reads it, or take it out of the view.',
  },
  'source-not-followed': {
    reason: 'The view reads a source for which the target has no `scopesOf`: its changes are seen, and lead nowhere.',
    fix: 'Add `scopesOf` for that source: the SELECT that turns its changed rows into scopes of this target.',
  },
  'opaque-function': {
    reason:
      'What the function reads cannot be seen, because its body is a string: it may depend on tables that are not followed.',
    fix: 'Write the body as RETURN … or BEGIN ATOMIC … END (then PostgreSQL knows what it reads), or declare it IMMUTABLE if it reads nothing.',
  },
  'key-not-derived': {
    reason:
      'The view says something else each time it is read (a random value, the time, the session): a row would be written anew for ever, and its key would not stay.',
    fix: 'Derive the value from columns of the sources. A function of your own that depends on its arguments only is to be declared IMMUTABLE.',
  },
  'not-repeatable': {
    reason:
      'The same rows give another result in another session or when they are read in another order, so backfill, live changes and validation contradict each other.',
    fix: 'ORDER BY a unique key wherever one of several rows is chosen or collected; name time zone and format (AT TIME ZONE, to_char); do not depend on the search_path.',
  },
  'no-index-path': {
    reason:
      'Deriving a few scopes reads a whole table. It works while tables are small, and stops everything when they are not.',
    fix: 'Make an index for the condition or join that leads from the scope to the table. A parent is best looked up by JOIN LATERAL (… OFFSET 0). A window function must be partitioned by the scope, and a volatile function keeps a condition out.',
  },
  'view-fails': {
    reason: 'One row makes the view fail, and with it every chunk and every validation that meets the row.',
    fix: 'Let the view answer for any row that the sources can hold (CASE around a cast or a division), so that the table refuses that row alone.',
  },
  'key-not-unique': {
    reason: 'The view gives two rows with one key, and the table can hold one.',
    fix: 'Group by the key, or choose one row (DISTINCT ON … ORDER BY a unique key).',
  },
  'keyed-by': {
    reason:
      '`keyedBy` says that each key of the target is a key of that source, and the view makes others: a row could outlive its deletion.',
    fix: 'Leave `keyedBy` out.',
  },
  'not-as-stored': {
    reason:
      'The table stores something else than the view says (rounded, padded, cut, filled by a trigger): each merge writes it again, and validation finds it each time.',
    fix: 'Cast in the view to what the column stores: numeric(p,s), char(n), varchar(n), timestamp(p); derive no generated column.',
  },
  'scope-missed': {
    reason:
      'A change of a source changed what the view says of a scope, and `scopesOf` did not name that scope: the target stays as it was.',
    fix: 'Find scopes three ways: from the routing values that the event carries, from the source rows as they are now, and from the target as it is now (a row that moved or is gone is only there). If the target cannot tell, give the source a replica identity index that holds the routing columns.',
  },
  'scope-not-carried': {
    reason:
      'By the time an event is handled its row may be gone or elsewhere; the scope it had entered is then known to nobody but the event.',
    fix: 'Declare the columns that lead to the scope as `routing` of the source, and use them in `scopesOf`: SELECT the_column FROM changed UNION ALL ….',
  },
  'walk-incomplete': {
    reason: 'A backfill goes through the scopes that `walk` enumerates; one that is not there is never derived.',
    fix: 'Add the relation and columns that hold the missing scopes to `walk`.',
  },
  'conflict-not-deferrable': {
    reason:
      'Two rows that swap a unique value, or a row that takes the value of one that goes, break the constraint half-way, though the result is right. Their scopes would be quarantined.',
    fix: 'Make the constraint DEFERRABLE. A partial unique index cannot be; an exclusion constraint of the same meaning can: EXCLUDE (column WITH =) WHERE (…) DEFERRABLE.',
  },
  'reverse-unread-column': {
    reason:
      'No reverse view reads the column, and `losses` does not mention it: what the application writes there after a cutover is lost by a rollback, and nobody says so.',
    fix: 'Read it in a reverse view, or SELECT the rows that would lose it in `losses`.',
  },
  'reverse-differs': {
    reason:
      'Normalized rows that went back to legacy and forward again are not what they were, and `losses` does not name them.',
    fix: 'Correct the reverse view, or SELECT these rows in `losses`.',
  },
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof checkRules;

/** One mistake found in a migration. */
export interface Finding {
  readonly rule: RuleName;
  readonly direction: DirectionName;
  /** `target orders`, `source tickets`: what it is about. */
  readonly subject: string;
  /** What was seen, with names and an example. */
  readonly found: string;
}
