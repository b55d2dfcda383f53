import type { DevHooks } from '../../../engine/migration/dev.ts';
import { statementTraffic } from '../../../engine/migration/traffic.ts';

const someTicket = '(SELECT id FROM legacy.tickets ORDER BY random() LIMIT 1)';
const someTags =
  "(ARRAY['urgent, billing', 'login', 'mobile,, ui ,login', '', NULL])[1 + floor(random() * 5)::INTEGER]";

/** What `lockstep dev` and `lockstep check` fill the legacy tables with, and what the application does in `dev`. */
export const dev: DevHooks = {
  // Dirty on purpose: a title that is too long, states that nobody knows, empty tags.
  async seed(client, { users }) {
    await client.query(
      `INSERT INTO legacy.tickets (id, title, state, tags)
       SELECT n, CASE WHEN n % 17 = 0 THEN repeat('long ', 50) ELSE 'Ticket ' || n END,
              CASE WHEN n % 19 = 0 THEN 7 ELSE n % 3 END,
              (ARRAY['urgent, billing', 'login', 'mobile,, ui ,login', '', NULL])[1 + n % 5]
       FROM generate_series(1, 2 * $1::INTEGER) n
       ON CONFLICT (id) DO NOTHING`,
      [users],
    );
    await client.query(
      `SELECT setval(pg_get_serial_sequence('legacy.tickets', 'id'), greatest(1, (SELECT max(id) FROM legacy.tickets)))`,
    );
  },
  traffic: (options) =>
    statementTraffic(options, [
      `INSERT INTO legacy.tickets (title, state, tags) VALUES ('New ticket', 0, ${someTags})`,
      `UPDATE legacy.tickets SET tags = ${someTags}, updated_at = now() WHERE id = ${someTicket}`,
      `UPDATE legacy.tickets SET state = (state + 1) % 3, updated_at = now() WHERE id = ${someTicket}`,
      `DELETE FROM legacy.tickets WHERE id = ${someTicket}`,
    ]),
};
