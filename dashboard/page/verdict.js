import { h } from './dom.js';
import { bytes, count, duration, plural, rate } from './format.js';

/** @typedef {import('../model.ts').Snapshot} Snapshot */
/** @typedef {import('../model.ts').Sample} Sample */
/** @typedef {import('../model.ts').Level} Level */

/** @type {Record<Level, string>} */
const shapes = {
  well: 'M5.5 12.5l4.2 4.2L18.5 8',
  working: 'M12 6.5v5.8l3.8 2.4',
  attention: 'M12 6.5v7M12 17.2v.1',
  broken: 'M7.5 7.5l9 9M16.5 7.5l-9 9',
};

/**
 * A level is a shape and a colour and, for who hears the page, a word.
 * @param {Level} level
 */
export function mark(level) {
  return h(`svg.mark.${level}`, { viewBox: '0 0 24 24', role: 'img', 'aria-label': level }, [
    h('circle', { cx: 12, cy: 12, r: 11 }),
    h('path', { d: shapes[level] }),
  ]);
}

/**
 * `code` between backticks, as findings have it.
 * @param {string} text
 */
export function withCode(text) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? h('code', {}, part) : part));
}

/** @param {Snapshot} snapshot */
export function verdict({ verdict: { level, title, text }, next, findings, backfill }) {
  const others = findings.filter((finding) => !saidAlready(finding.text, title));
  return [
    h('div.said', {}, [
      mark(level),
      h('div', {}, [
        h(`h1.${level}`, {}, title),
        text !== '' && h('p', {}, withCode(text)),
        backfill && h('progress.run', { max: 1, value: backfill.share, 'aria-label': 'Backfill of all targets' }),
      ]),
    ]),
    others.length > 0 &&
      h(
        'ul.findings',
        {},
        others.map((finding) => h('li', {}, [mark(finding.level), h('span', {}, withCode(finding.text))])),
      ),
    h('p.next', {}, [
      h('span.label', {}, 'Next'),
      h('span', {}, next.text),
      next.command !== null && h('code', {}, `npx ${next.command}`),
    ]),
  ];
}

/**
 * @param {string} finding
 * @param {string} title
 */
function saidAlready(finding, title) {
  return finding.startsWith(title) || (finding.includes('quarantine') && title.includes('quarantine'));
}

/** @param {Snapshot} snapshot */
export function stations({ stations: all }) {
  return all.map(({ name, text, state }) =>
    h(`li.${state}`, { 'aria-current': state === 'current' ? 'step' : null }, [
      h('b', {}, name),
      h('span', {}, text),
      state === 'done' && h('span.unseen', {}, ' (done)'),
    ]),
  );
}

/**
 * @param {Snapshot} snapshot
 * @param {Sample | undefined} sample
 */
export function figures({ lag, slot, inFlight }, sample) {
  return [
    figure('Lag', duration(lag.seconds), 'age of the oldest change that is not applied'),
    figure('Changed by the application', `${rate(sample?.sourceRowsPerSecond)} rows/s`, 'in the sources'),
    figure('Written in the targets', `${rate(sample?.targetRowsPerSecond)} rows/s`, 'by merges and backfill'),
    figure(
      'In flight',
      plural(inFlight.keys, 'row'),
      inFlight.messages === 0
        ? 'nothing waits in the queue'
        : `${plural(inFlight.messages, 'message')}, oldest ${duration(inFlight.oldestAgeSeconds)}`,
    ),
    figure('Slot is lost in', untilLost(slot), slotText(slot)),
  ];
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string} text
 */
function figure(name, value, text) {
  return h('div', {}, [h('dt', {}, name), h('dd', {}, [h('b', {}, value), h('span', {}, text)])]);
}

/** @param {Snapshot['slot']} slot */
export function untilLost(slot) {
  if (!slot) return 'no slot';
  if (slot.walStatus === 'lost') return 'it is lost';
  if (slot.safeWalBytes === null) return 'never';
  return slot.secondsUntilLost === null ? '> 30 days' : duration(slot.secondsUntilLost);
}

/** @param {Snapshot['slot']} slot */
function slotText(slot) {
  if (!slot) return 'nothing is captured';
  if (slot.safeWalBytes === null) return `no limit is set; it keeps ${bytes(slot.retainedBytes)}`;
  return `if unread, after ${bytes(slot.safeWalBytes)} more of WAL`;
}

/** @param {Snapshot['cost']} cost */
export function cost({ statements, everyMs, idleEveryMs, detailsEveryMs, tookMs }) {
  return [
    h('p', {}, [
      'This page only shows. ',
      `It asks the database each ${duration(everyMs / 1000).replace('.0', '')} while someone looks (the last time ${count(statements)} short statements, ${count(tookMs)} ms), `,
      `details each ${duration(detailsEveryMs / 1000)}, and each ${duration(idleEveryMs / 1000)} while nobody does; never more than a twentieth of the time, on one connection that cannot write.`,
    ]),
  ];
}
