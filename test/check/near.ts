import { migration } from '../../cli/new/template/migration.ts';
import type { Direction, Migration, Target } from '../../engine/migration/contract.ts';

export const good = migration;
export const [tickets, tags] = good.forward.targets as [Target, Target];

export function withForward(forward: Partial<Direction>): Migration {
  return { ...good, forward: { ...good.forward, ...forward } };
}

export const withTags = (changed: Partial<Target>) => withForward({ targets: [tickets, { ...tags, ...changed }] });
export const withTickets = (changed: Partial<Target>) => withForward({ targets: [{ ...tickets, ...changed }, tags] });
export const withReverse = (changed: Partial<Direction>): Migration => ({
  ...good,
  reverse: { ...(good.reverse as Direction), ...changed },
});

/** Instead of the template's view of the same name, with the columns that it names. */
export const forwardView = (name: string, query: string) =>
  `DROP VIEW lockstep_forward.${name}; CREATE VIEW lockstep_forward.${name} AS ${query}`;

export const ticketsView = (title: string, from = 'legacy.tickets t') =>
  forwardView(
    'tickets',
    `SELECT t.id, ${title} AS title, CASE t.state WHEN 0 THEN 'open' WHEN 1 THEN 'in progress' WHEN 2 THEN 'closed' END AS status,
            t.updated_at FROM ${from}`,
  );

/** A tag is looked up in a table of the tags that exist, which refers to tickets by a column that has no index. */
export const secondSource = `
  CREATE TABLE legacy.notes (id BIGINT PRIMARY KEY, ticket_id BIGINT NOT NULL, title TEXT NOT NULL);
  INSERT INTO legacy.notes SELECT n, 1 + n % 50, 'note ' || n FROM generate_series(1, 60) n;
  CREATE INDEX ON legacy.notes (ticket_id);
  CREATE TABLE tracker.notes (id BIGINT PRIMARY KEY, ticket_id BIGINT NOT NULL, title TEXT NOT NULL);
  CREATE INDEX ON tracker.notes (ticket_id);
  CREATE VIEW lockstep_forward.notes AS SELECT n.id, n.ticket_id, n.title FROM legacy.notes n;`;

export const notes = (changed: Partial<Target>, routing: readonly string[] = ['ticket_id']): Migration => {
  const target: Target = {
    name: 'notes',
    relation: { schema: 'tracker', name: 'notes' },
    view: { schema: 'lockstep_forward', name: 'notes' },
    scope: ['ticket_id'],
    writes: 'rows',
    scopesOf: {
      notes: `SELECT ticket_id FROM changed
              UNION ALL SELECT n.ticket_id FROM changed c JOIN legacy.notes n ON n.id = c.id
              UNION ALL SELECT t.ticket_id FROM changed c JOIN tracker.notes t ON t.id = c.id`,
    },
    walk: [{ relation: { schema: 'legacy', name: 'notes' }, columns: ['ticket_id'] }],
    ...changed,
  };
  const source = { name: 'notes', relation: { schema: 'legacy', name: 'notes' }, key: ['id'], routing };
  const { reverse: _, ...oneWay } = good;
  return {
    ...oneWay,
    forward: { ...good.forward, sources: [...good.forward.sources, source], targets: [tickets, tags, target] },
  };
};

/** Good ones that are close to the mistakes: nothing may be found. */
export const sound: readonly { readonly what: string; readonly sql: string; readonly migration: Migration }[] = [
  { what: 'the template', sql: '', migration: good },
  { what: 'a row that can move between scopes', sql: secondSource, migration: notes({}) },
  {
    what: 'a unique constraint that can wait',
    sql: `${secondSource} ALTER TABLE tracker.notes ADD UNIQUE (title) DEFERRABLE`,
    migration: notes({}),
  },
];
