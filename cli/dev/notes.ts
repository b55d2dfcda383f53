import type { OpenDashboard } from '../../dashboard/open.ts';
import type { Telemetry } from '../../engine/telemetry.ts';

/** What the parts of this machine log and the database does not remember: kills, retries, refusals. */
const told = new Set(['warn', 'error']);
/** The database remembers it, target by target. */
const known = new Set(['scopes quarantined']);

/** Passes telemetry on, and shows what someone should see among the events of the page, once there is one. */
export function showingEvents(telemetry: Telemetry, page: () => Pick<OpenDashboard, 'note'> | undefined): Telemetry {
  return {
    ...telemetry,
    log(level, event, fields) {
      telemetry.log(level, event, fields);
      if (told.has(level) && !known.has(event))
        page()?.note(level === 'error' ? 'broken' : 'attention', noteText(event, fields));
    },
  };
}

/** Names, counts and SQLSTATEs; ids would make a line of every repetition. */
const said = ['sqlState', 'code', 'signal', 'count', 'attempt', 'relation', 'reason'];

function noteText(event: string, fields: Readonly<Record<string, unknown>> = {}): string {
  const details = said.flatMap((name) => (fields[name] === undefined ? [] : [`${name} ${String(fields[name])}`]));
  const text = event.charAt(0).toUpperCase() + event.slice(1);
  return details.length === 0 ? text : `${text} (${details.join(', ')})`;
}
