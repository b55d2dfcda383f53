import type { RuleName } from '../../engine/check/rules.ts';
import type { Direction, Migration } from '../../engine/migration/contract.ts';
import {
  forwardView,
  good,
  notes,
  secondSource,
  tags,
  tickets,
  ticketsView,
  withForward,
  withReverse,
  withTags,
  withTickets,
} from './near.ts';

/** The template migration with one mistake in it. */
export interface Broken {
  readonly mistake: string;
  /** What must be found; nothing else may be, except what follows from it. */
  readonly rule: RuleName;
  readonly alongside?: readonly RuleName[];
  /** `target ticket_tags`: what the finding must be about. */
  readonly subject: string;
  /** Run on the template's schema. */
  readonly sql?: string;
  readonly migration?: Migration;
}

export const broken: readonly Broken[] = [
  {
    mistake: 'a source without a primary key',
    rule: 'source-key',
    subject: 'source tickets',
    sql: 'ALTER TABLE legacy.tickets DROP CONSTRAINT tickets_pkey',
    alongside: ['target-key'],
  },
  {
    mistake: 'a source with replica identity FULL',
    rule: 'source-unfit',
    subject: 'source tickets',
    sql: 'ALTER TABLE legacy.tickets REPLICA IDENTITY FULL',
  },
  {
    mistake: 'a source that is not there',
    rule: 'relation-missing',
    subject: 'source tickets',
    migration: withForward({
      sources: [{ name: 'tickets', relation: { schema: 'legacy', name: 'ticket' }, key: ['id'], routing: [] }],
    }),
    alongside: ['undeclared-source'],
  },
  {
    mistake: 'a view column that the table lacks',
    rule: 'view-column-missing',
    subject: 'target tickets',
    sql: 'ALTER TABLE tracker.tickets DROP COLUMN updated_at CASCADE',
    alongside: ['relation-missing', 'declaration-invalid'],
  },
  {
    mistake: 'a required column that is not derived',
    rule: 'required-column',
    subject: 'target tickets',
    sql: 'ALTER TABLE tracker.tickets ADD COLUMN owner TEXT NOT NULL',
    alongside: ['reverse-unread-column'],
  },
  {
    mistake: 'a target without a primary key',
    rule: 'target-key',
    subject: 'target ticket_tags',
    sql: 'ALTER TABLE tracker.ticket_tags DROP CONSTRAINT ticket_tags_pkey',
    alongside: ['source-key'],
  },
  {
    mistake: 'targets in the wrong order',
    rule: 'target-order',
    subject: 'target ticket_tags',
    migration: withForward({ targets: [tags, tickets] }),
  },
  {
    mistake: 'scopesOf for a source that is none',
    rule: 'declaration-invalid',
    subject: 'target ticket_tags',
    migration: withTags({ scopesOf: { ...tags.scopesOf, people: 'SELECT id FROM changed' } }),
  },
  {
    mistake: 'scopesOf that is no SQL',
    rule: 'statement-refused',
    subject: 'target ticket_tags',
    migration: withTags({ scopesOf: { tickets: 'SELECT no_such_column FROM changed' } }),
  },
  {
    mistake: 'a table that the view reads and that is no source',
    rule: 'undeclared-source',
    subject: 'target tickets',
    sql: `CREATE TABLE legacy.names (id BIGINT PRIMARY KEY, title TEXT);
          ${ticketsView('coalesce((SELECT n.title FROM legacy.names n WHERE n.id = t.id), t.title)')}`,
  },
  {
    mistake: 'the same, hidden in a function',
    rule: 'undeclared-source',
    subject: 'target tickets',
    sql: `CREATE TABLE legacy.names (id BIGINT PRIMARY KEY, title TEXT);
          CREATE FUNCTION legacy.name_of(ticket BIGINT) RETURNS TEXT LANGUAGE sql STABLE RETURN (SELECT title FROM legacy.names WHERE id = ticket);
          ${ticketsView('coalesce(legacy.name_of(t.id), t.title)')}`,
  },
  {
    mistake: 'a function that hides what it reads',
    rule: 'opaque-function',
    subject: 'target tickets',
    sql: `CREATE FUNCTION legacy.title_of(given TEXT) RETURNS TEXT LANGUAGE sql STABLE AS 'SELECT given';
          ${ticketsView('legacy.title_of(t.title)')}`,
  },
  {
    mistake: 'a source without scopesOf',
    rule: 'source-not-followed',
    subject: 'target ticket_tags',
    migration: withTags({ scopesOf: {} }),
    alongside: ['scope-missed'],
  },
  {
    mistake: 'a random key',
    rule: 'key-not-derived',
    subject: 'target ticket_tags',
    sql: `ALTER TABLE tracker.ticket_tags ADD COLUMN mark UUID;
          ${forwardView('ticket_tags', `SELECT t.id AS ticket_id, 1 AS position, gen_random_uuid() AS mark, 'x' AS tag FROM legacy.tickets t`)}`,
    alongside: [
      'not-repeatable',
      'not-as-stored',
      'reverse-unread-column',
      'reverse-differs',
      'no-index-path',
      'scope-missed',
    ],
  },
  {
    mistake: 'the time of reading',
    rule: 'key-not-derived',
    subject: 'target tickets',
    sql: ticketsView(`t.title || CASE WHEN t.updated_at < now() - INTERVAL '1 year' THEN ' (old)' ELSE '' END`),
  },
  {
    mistake: 'a function of ours that is volatile because nobody said otherwise',
    rule: 'key-not-derived',
    subject: 'target tickets',
    sql: `CREATE FUNCTION legacy.tidy(given TEXT) RETURNS TEXT LANGUAGE sql RETURN btrim(given);
          ${ticketsView('legacy.tidy(t.title)')}`,
    alongside: ['opaque-function'],
  },
  {
    mistake: 'a text that depends on the time zone of the session',
    rule: 'not-repeatable',
    subject: 'target tickets',
    sql: ticketsView(`t.title || ' ' || t.updated_at::TEXT`),
    alongside: ['reverse-differs', 'scope-missed'],
  },
  {
    mistake: 'one of several rows, whichever comes first',
    rule: 'not-repeatable',
    subject: 'target notes',
    sql: `${secondSource} DROP VIEW lockstep_forward.notes;
          CREATE VIEW lockstep_forward.notes AS SELECT n.ticket_id AS id, n.ticket_id, (array_agg(n.title))[1] AS title FROM legacy.notes n GROUP BY n.ticket_id;
          INSERT INTO legacy.notes SELECT n, 1 + n % 50, 'further note ' || n FROM generate_series(61, 300) n`,
    migration: notes({}),
    alongside: ['scope-missed'],
  },
  {
    mistake: 'no index from the scope to the table',
    rule: 'no-index-path',
    subject: 'target notes',
    sql: `${secondSource} DROP INDEX legacy.notes_ticket_id_idx`,
    migration: notes({}),
  },
  {
    mistake: 'a window over the whole table, which no condition passes',
    rule: 'no-index-path',
    subject: 'target tickets',
    sql: ticketsView(`t.title || ' of ' || t.n`, '(SELECT *, count(*) OVER () AS n FROM legacy.tickets) t'),
    alongside: ['scope-missed', 'reverse-differs'],
  },
  {
    mistake: 'a scope that is looked up without an index',
    rule: 'no-index-path',
    subject: 'target notes',
    sql: secondSource,
    migration: notes({
      scopesOf: {
        notes: `SELECT ticket_id FROM changed UNION ALL SELECT n.ticket_id FROM changed c JOIN legacy.notes n ON n.id = c.id
                UNION ALL SELECT t.ticket_id FROM changed c JOIN tracker.notes t ON t.id + 0 = c.id`,
      },
    }),
  },
  {
    mistake: 'no look into the target',
    rule: 'scope-missed',
    subject: 'target notes',
    sql: secondSource,
    migration: notes({
      scopesOf: {
        notes:
          'SELECT ticket_id FROM changed UNION ALL SELECT n.ticket_id FROM changed c JOIN legacy.notes n ON n.id = c.id',
      },
    }),
  },
  {
    mistake: 'a scope that the event does not carry',
    rule: 'scope-not-carried',
    subject: 'target notes',
    sql: secondSource,
    migration: notes(
      {
        scopesOf: {
          notes: `SELECT n.ticket_id FROM changed c JOIN legacy.notes n ON n.id = c.id
                  UNION ALL SELECT t.ticket_id FROM changed c JOIN tracker.notes t ON t.id = c.id`,
        },
      },
      [],
    ),
  },
  {
    mistake: 'a walk that leaves scopes out',
    rule: 'walk-incomplete',
    subject: 'target notes',
    sql: `${secondSource} DELETE FROM legacy.notes; INSERT INTO legacy.notes VALUES (1, 100000, 'of a ticket that is gone')`,
    migration: notes({ walk: [{ relation: { schema: 'legacy', name: 'tickets' }, columns: ['id'] }] }),
  },
  {
    mistake: 'two rows with one key',
    rule: 'key-not-unique',
    subject: 'target tickets',
    sql: ticketsView('t.title', 'legacy.tickets t CROSS JOIN generate_series(1, 2)'),
    alongside: ['reverse-differs', 'not-as-stored'],
  },
  {
    mistake: 'keyedBy that is not so',
    rule: 'keyed-by',
    subject: 'target notes',
    sql: `${secondSource} DROP VIEW lockstep_forward.notes; CREATE VIEW lockstep_forward.notes AS SELECT n.id + 1000000 AS id, n.ticket_id, n.title FROM legacy.notes n`,
    migration: notes({ keyedBy: ['notes'] }),
    alongside: ['scope-missed'],
  },
  {
    mistake: 'a value that the column stores otherwise',
    rule: 'not-as-stored',
    subject: 'target notes',
    sql: `${secondSource} DROP VIEW lockstep_forward.notes; ALTER TABLE tracker.notes ADD COLUMN share NUMERIC(6,1);
          CREATE VIEW lockstep_forward.notes AS SELECT n.id, n.ticket_id, n.title, n.id / 3.0 AS share FROM legacy.notes n`,
    migration: notes({}),
  },
  {
    mistake: 'a unique constraint that cannot wait',
    rule: 'conflict-not-deferrable',
    subject: 'target notes',
    sql: `${secondSource} CREATE UNIQUE INDEX ON tracker.notes (title)`,
    migration: notes({}),
  },
  {
    mistake: 'a view that one row makes fail',
    rule: 'view-fails',
    subject: 'target tickets',
    sql: ticketsView('t.title || (10 / t.state)'),
  },
  {
    mistake: 'a reverse view that loses a column',
    rule: 'reverse-unread-column',
    subject: 'target tickets',
    sql: `DROP VIEW lockstep_reverse.tickets; CREATE VIEW lockstep_reverse.tickets AS SELECT t.id, t.title,
            CASE t.status WHEN 'open' THEN 0 WHEN 'in progress' THEN 1 ELSE 2 END::SMALLINT AS state,
            (SELECT string_agg(tt.tag, ', ' ORDER BY tt.position) FROM tracker.ticket_tags tt WHERE tt.ticket_id = t.id) AS tags
          FROM tracker.tickets t`,
    alongside: ['reverse-differs'],
  },
  {
    mistake: 'a reverse view that mixes values up',
    rule: 'reverse-differs',
    subject: 'target ticket_tags',
    sql: `DROP VIEW lockstep_reverse.tickets; CREATE VIEW lockstep_reverse.tickets AS SELECT t.id, t.title,
            CASE t.status WHEN 'open' THEN 0 WHEN 'in progress' THEN 1 WHEN 'closed' THEN 2 END::SMALLINT AS state,
            (SELECT string_agg(tt.tag, ', ' ORDER BY tt.position DESC) FROM tracker.ticket_tags tt WHERE tt.ticket_id = t.id) AS tags,
            t.updated_at FROM tracker.tickets t`,
  },
  {
    mistake: 'a loss that is not declared',
    rule: 'reverse-differs',
    subject: 'target ticket_tags',
    migration: withReverse({ losses: 'SELECT * FROM lockstep_reverse.losses WHERE false' }),
  },
  {
    mistake: 'a reverse target that does not follow a source',
    rule: 'source-not-followed',
    subject: 'target tickets',
    migration: withReverse({
      targets: (good.reverse as Direction).targets.map((target) => ({
        ...target,
        scopesOf: { tickets: 'SELECT id FROM changed' },
      })),
    }),
    alongside: ['scope-missed'],
  },
  {
    mistake: 'a walk over a table that is not there',
    rule: 'relation-missing',
    subject: 'target tickets',
    migration: withTickets({ walk: [{ relation: { schema: 'legacy', name: 'nowhere' }, columns: ['id'] }] }),
    alongside: ['statement-refused'],
  },
];
