import { h } from './dom.js';
import { ago, bytes, count, duration, moment, plural, rate } from './format.js';
import { mark, untilLost } from './verdict.js';

/** @typedef {import('../model.ts').Snapshot} Snapshot */
/** @typedef {import('../model.ts').TargetView} TargetView */

/** @param {Snapshot} snapshot */
export function targets({ targets: all, atMs }) {
  return [
    h('div.scroll', { tabindex: 0, role: 'region', 'aria-label': 'Targets, a table' }, [
      h('table.targets', {}, [
        h('thead', {}, [
          h('tr', {}, [
            h('th', { scope: 'col' }, 'target'),
            h('th', { scope: 'col' }, 'backfill'),
            ...['rows now', 'expected', 'in flight', 'quarantined', 'drifted'].map((name) =>
              h('th.number', { scope: 'col' }, name),
            ),
          ]),
        ]),
        h(
          'tbody',
          {},
          all.map((target) => row(target, atMs)),
        ),
      ]),
    ]),
    h('p.small', {}, [
      'Rows now: the server’s estimate. Expected and drifted: as counted by the last validation that compared the whole target. ',
      'In flight: rows of its sources in messages that are not applied yet. Quarantined: scopes.',
    ]),
  ];
}

/**
 * @param {TargetView} target
 * @param {number} atMs
 */
function row({ target, table, backfill, presentEstimate, validated, inFlightKeys, quarantinedScopes }, atMs) {
  const drifted = validated?.drifted ?? null;
  const cell = (
    /** @type {string} */ label,
    /** @type {Parameters<typeof h>[2]} */ value,
    /** @type {string} */ kind = '',
  ) => h(`td.number${kind}`, { 'data-label': label }, value);
  return h('tr', {}, [
    h('th', { scope: 'row' }, [target, table !== `public.${target}` && h('span.table', {}, table)]),
    h('td.wide', { 'data-label': 'backfill' }, progress(target, backfill)),
    cell('rows now', `≈ ${count(presentEstimate)}`),
    cell(
      'expected',
      validated
        ? h('span', {}, [count(validated.expected), h('span.asof', {}, ago(validated.atMs, atMs))])
        : h('span.dim', {}, 'not validated'),
    ),
    cell('in flight', count(inFlightKeys), inFlightKeys === 0 ? '.zero' : ''),
    cell('quarantined', count(quarantinedScopes), quarantinedScopes === 0 ? '.zero' : '.attention'),
    cell('drifted', drifted === null ? '–' : count(drifted), drifted ? '.broken' : '.zero'),
  ]);
}

/**
 * @param {string} name
 * @param {TargetView['backfill']} backfill
 */
function progress(name, backfill) {
  if (!backfill) return h('span.dim', {}, 'none');
  const { share, state, rowsWritten, scopesPerSecond, secondsLeft } = backfill;
  const text = {
    done: `done, ${plural(rowsWritten, 'row')} written`,
    waiting: 'waiting',
    paused: `paused at ${Math.floor(share * 100)} %`,
    running:
      scopesPerSecond === null
        ? 'begun'
        : `${Math.floor(share * 100)} %, ${rate(scopesPerSecond)} scopes/s, ${duration(secondsLeft)} left`,
  }[state];
  return h('div.progress', {}, [
    h(`progress.${state}`, { max: 1, value: share, 'aria-label': `Backfill of ${name}` }),
    h('span', {}, text),
  ]);
}

/** @param {Snapshot} snapshot */
export function quarantine({ quarantine: reasons, atMs }) {
  if (reasons.length === 0) {
    return h('p.empty', {}, [mark('well'), 'Empty: every row fits the new schema.']);
  }
  return [
    h(
      'ul.reasons',
      {},
      reasons.map(({ target, sqlState, scopes, message, sinceMs, lastMs, attempts, examples }) =>
        h('li', {}, [
          h('details', {}, [
            h('summary', {}, [
              h('b', {}, plural(scopes, 'scope')),
              h('span.target', {}, target),
              h('span.message', {}, message),
              h('code', { title: 'SQLSTATE' }, sqlState),
            ]),
            h(
              'p',
              {},
              `Since ${moment(sinceMs, atMs)}, tried last ${ago(lastMs, atMs)}, at most ${plural(attempts, 'time')}.`,
            ),
            h('p', {}, [
              'Scopes, the latest first: ',
              ...examples.flatMap((scope) => [h('code', {}, scope.join(', ')), ' ']),
              scopes > examples.length && 'and more',
            ]),
          ]),
        ]),
      ),
    ),
    h('p.small', {}, [
      'Mend the rows in the sources; the next change of them, or ',
      h('code', {}, 'npx lockstep retry'),
      ', brings them back.',
    ]),
  ];
}

/** @param {Snapshot} snapshot */
export function slot({ slot: state, listener, inFlight, lag }) {
  if (!state) return h('p.empty', {}, [mark('attention'), 'There is no slot: nothing is captured.']);
  const limit = state.safeWalBytes === null ? null : state.retainedBytes + state.safeWalBytes;
  return [
    limit !== null &&
      h('meter', {
        min: 0,
        max: limit,
        value: state.retainedBytes,
        high: limit * 0.6,
        optimum: 0,
        'aria-label': 'WAL kept, of what may be kept',
      }),
    limit !== null &&
      h('p.small', {}, `${bytes(state.retainedBytes)} of ${bytes(limit)} that it may keep (max_slot_wal_keep_size)`),
    h('dl.facts', {}, [
      ...fact('slot', state.name),
      ...fact('read', state.active ? 'yes' : 'no'),
      ...fact(
        'lost in',
        state.safeWalBytes === null ? 'never: no limit is set, the disk is the limit' : untilLost(state),
      ),
      ...fact('keeps', `${bytes(state.retainedBytes)} of WAL`),
      ...fact('not sent yet', bytes(lag.bytes)),
      ...fact('confirmed up to', state.confirmedLsn),
      ...fact('oldest in flight', inFlight.oldestLsn ?? 'nothing'),
      ...fact('listener seen', listener ? `${duration(listener.seenSecondsAgo)} ago` : 'never'),
    ]),
  ];
}

/**
 * @param {string} name
 * @param {string} value
 */
function fact(name, value) {
  return [h('dt', {}, name), h('dd', {}, value)];
}

/** @param {Snapshot} snapshot */
export function reports({ reports: all, atMs }) {
  if (all.length === 0) {
    return h('p.empty', {}, [
      'None yet. ',
      h('code', {}, 'npx lockstep validate'),
      ' compares every row, under live traffic.',
    ]);
  }
  const level = /** @type {const} */ ({ agrees: 'well', differs: 'broken', unproven: 'attention' });
  return h(
    'ul.lines',
    {},
    all.map(({ startedAtMs, verdict, compared, drift, quarantinedRows, spentMs }) =>
      h('li', {}, [
        mark(verdict ? level[verdict] : 'working'),
        h('span', {}, [
          h('b', {}, verdict ?? 'not finished'),
          `: ${plural(compared, 'row')} compared in ${duration(spentMs / 1000)}`,
          drift > 0 && `, ${count(drift)} drifted`,
          quarantinedRows > 0 && `, ${count(quarantinedRows)} in quarantine`,
        ]),
        h('time', { datetime: new Date(startedAtMs).toISOString() }, moment(startedAtMs, atMs)),
      ]),
    ),
  );
}

/** @param {Snapshot} snapshot */
export function events({ events: all, atMs }) {
  if (all.length === 0) return h('p.empty', {}, 'None yet.');
  return h(
    'ul.lines.events',
    { tabindex: 0 },
    all.map(({ atMs: at, level, text }) =>
      h('li', {}, [
        mark(level),
        h('span', {}, text),
        h('time', { datetime: new Date(at).toISOString() }, moment(at, atMs)),
      ]),
    ),
  );
}
