import { h } from './dom.js';
import { clockTime } from './format.js';

/** @typedef {import('../model.ts').Sample} Sample */

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {'first' | 'second'} kind
 * @property {(sample: Sample) => number | null} value
 */

/**
 * @typedef {object} Plot
 * @property {string} title
 * @property {(value: number | null | undefined) => string} format
 * @property {readonly Line[]} lines
 * @property {number} least the axis reaches at least so far
 */

const height = 150;
const [left, right, top, bottom] = [1, 4, 16, 22];

/**
 * The next 1, 2 or 5 times a power of ten.
 * @param {number} value
 */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}

/**
 * Lines over time.
 * @param {Plot} plot
 * @param {readonly Sample[]} samples those that are shown, the oldest first
 * @param {number} width pixels
 * @param {Sample | undefined} chosen where the reader points
 */
export function drawn({ title, format, lines, least }, samples, width, chosen) {
  const [first, last] = [samples[0], samples.at(-1)];
  const values = lines.flatMap(({ value }) => samples.map((sample) => value(sample) ?? 0));
  const highest = Math.max(0, ...values);
  const most = ceiling(Math.max(least, highest));
  const span = Math.max(1, (last?.atMs ?? 0) - (first?.atMs ?? 0));
  const x = (/** @type {number} */ atMs) => left + ((width - left - right) * (atMs - (first?.atMs ?? 0))) / span;
  const y = (/** @type {number} */ value) => top + (height - top - bottom) * (1 - value / most);
  const shown = chosen ?? last;
  const readings = lines.map(({ name, kind, value }) =>
    h('span.reading', {}, [h(`i.${kind}`), lines.length > 1 && `${name} `, h('b', {}, format(shown && value(shown)))]),
  );
  return h(
    'figure',
    {
      tabindex: 0,
      'data-plot': title,
      'aria-label': `${title}: ${spoken(lines, shown, format)}; at most ${format(highest)}`,
    },
    [
      h('figcaption', {}, [
        h('span.title', {}, title),
        ...readings,
        h('span.when', {}, chosen ? clockTime(chosen.atMs) : 'now'),
      ]),
      h('svg', { viewBox: `0 0 ${width} ${height}`, width, height, 'aria-hidden': 'true' }, [
        ...[0, 0.5, 1].map((part) =>
          h('line.grid', { x1: left, x2: width - right, y1: y(most * part), y2: y(most * part) }),
        ),
        ...lines.flatMap((line) => strokes(line, samples, x, y)),
        h('text', { x: left, y: y(most) - 3 }, format(most)),
        first && h('text', { x: left, y: height - 6 }, clockTime(first.atMs)),
        last && h('text', { x: width - right, y: height - 6, 'text-anchor': 'end' }, clockTime(last.atMs)),
        chosen && h('line.cursor', { x1: x(chosen.atMs), x2: x(chosen.atMs), y1: top, y2: height - bottom }),
        ...lines.map(
          ({ kind, value }) =>
            shown &&
            value(shown) !== null &&
            h(`circle.${kind}`, { cx: x(shown.atMs), cy: y(value(shown) ?? 0), r: 3 }),
        ),
      ]),
    ],
  );
}

/**
 * @param {readonly Line[]} lines
 * @param {Sample | undefined} sample
 * @param {Plot['format']} format
 */
function spoken(lines, sample, format) {
  return lines.map(({ name, value }) => `${name} ${format(sample && value(sample))}`).join(', ');
}

/**
 * A line with the area below it, interrupted where nothing is known.
 * @param {Line} line
 * @param {readonly Sample[]} samples
 * @param {(atMs: number) => number} x
 * @param {(value: number) => number} y
 */
function strokes({ kind, value }, samples, x, y) {
  /** @type {string[][]} */
  const runs = [[]];
  for (const sample of samples) {
    const amount = value(sample);
    if (amount === null) runs.push([]);
    else runs.at(-1)?.push(`${x(sample.atMs).toFixed(1)},${y(amount).toFixed(1)}`);
  }
  return runs
    .filter((points) => points.length > 1)
    .flatMap((points) => {
      const [from, to] = [points[0], points.at(-1)].map((point) => point?.split(',')[0]);
      return [
        h(`polygon.${kind}`, { points: `${from},${y(0)} ${points.join(' ')} ${to},${y(0)}` }),
        h(`polyline.${kind}`, { points: points.join(' ') }),
      ];
    });
}
