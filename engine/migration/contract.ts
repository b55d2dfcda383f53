/**
 * What a migration folder declares in its `migration.ts`: which tables change, which tables are kept in step with
 * them, through which view, and how a changed row leads to the scopes that must be derived again.
 *
 * Nothing here is specific to one migration; the engine reads everything else (types, keys, foreign keys) from the
 * catalogs of the database.
 */

/** A table or a view. Both parts are plain names; the engine quotes them. */
export interface Relation {
  readonly schema: string;
  readonly name: string;
}

/** A table whose changes are captured. */
export interface Source {
  /** Short name, unique within the direction; messages and `scopesOf` use it. */
  readonly name: string;
  readonly relation: Relation;
  /** The primary key columns, in order. They are what an event carries to name a row. */
  readonly key: readonly string[];
  /**
   * Columns whose value decides which scope the row is in (`photos.project_id`). An event carries the value that its
   * own change wrote, because by the time it is handled the row may have moved on.
   */
  readonly routing: readonly string[];
}

/** Where the scopes of a target are enumerated from when all of it is derived: an index must begin with `columns`. */
export interface Walk {
  readonly relation: Relation;
  /** As many columns as `Target.scope` has, of the same types, in the same order. */
  readonly columns: readonly string[];
}

/** A table that is kept equal to a view. */
export interface Target {
  /** Short name, unique within the direction. */
  readonly name: string;
  readonly relation: Relation;
  readonly view: Relation;
  /** Columns of both the view and the table that group the rows which are derived together. */
  readonly scope: readonly string[];
  /**
   * `rows`: the target's rows are the view's rows; rows that the view lacks are deleted.
   * `columns`: the table is shared with others; rows are only ever updated, and only in the view's columns.
   */
  readonly writes: 'rows' | 'columns';
  /**
   * Sources whose key is this target's key, column by column. A row that such a source's own event inserts is known to
   * be found by its later events; a merge that inserts others is repeated once it is committed. And a row that has left
   * its scope is known by it to have moved, and is left to its own event, which moves it in place. Leave it out when it is not true: then merges are
   * repeated more often than needed, and a row that moves between scopes may be deleted and inserted again, without the
   * columns that the view does not have. Without meaning where the scope is the key.
   */
  readonly keyedBy?: readonly string[];
  /**
   * By source name: a SELECT that turns changed rows into scopes. It reads the relation `changed`, which has the
   * source's key and routing columns under their own names and types (routing values may be NULL), and returns the
   * scope columns in order. It must find the scopes three ways: from the routing values carried, from the source rows
   * as they are now, and from the target as it is now (a row that has moved or is gone can only be found there).
   */
  readonly scopesOf: Readonly<Record<string, string>>;
  /** The relations whose rows, together with the target's own, cover every scope that exists. */
  readonly walk: readonly Walk[];
}

export type DirectionName = 'forward' | 'reverse';

/**
 * What a validation asks besides comparing every row. Each is a SELECT; those of `counts` and `rules` return
 * `check_name` (text, unique), `status` (`PASS`, or anything else) and any further columns, which the report shows. They
 * leave out what cannot be in the target: quarantined scopes, and rows that the views leave out.
 */
export interface Checks {
  /** Whether both sides hold as many rows. */
  readonly counts?: string;
  /** Whether rules of the business hold on both sides. */
  readonly rules?: string;
  /** By title: rows that people should know of, though nothing is wrong with the target; the report shows some of each. */
  readonly listings?: Readonly<Record<string, string>>;
}

/** One way of a migration: legacy to normalized (`forward`) or back (`reverse`). */
export interface Direction {
  readonly sources: readonly Source[];
  /** In dependency order: a table that references another comes after it. */
  readonly targets: readonly Target[];
  readonly checks?: Checks;
  /**
   * Of a reverse direction: a SELECT of what the legacy schema has no place for, one row for each loss: `target` (the
   * forward target's name), `key` (text[]: the normalized row's key), `column_name` (text; NULL: the whole row) and
   * `reason` (text, the same for all losses of one kind). A normalized state without such rows comes back from the
   * legacy tables exactly as it was.
   */
  readonly losses?: string;
}

/** What the application must not write any more once the other side is the truth. */
export interface Guard {
  readonly relation: Relation;
  /** Only updates of these columns, and inserts that give them another value than their default, are refused. Default: every insert, update, delete and truncate. */
  readonly columns?: readonly string[];
}

export interface Migration {
  readonly name: string;
  readonly forward: Direction;
  /** Without it the migration cannot be cut over, only followed. */
  readonly reverse?: Direction;
  /** By the side that is guarded: `legacy` after a cutover, `normalized` after a rollback. */
  readonly guards?: { readonly legacy: readonly Guard[]; readonly normalized: readonly Guard[] };
  /** Statements that turn the application over, run in the transaction that changes the phase, by the new phase. */
  readonly flags?: Readonly<Record<DirectionName, string>>;
  /** By title: statements that the scheduled function runs each time, such as making next month's partition. */
  readonly upkeep?: Readonly<Record<string, string>>;
}
