import { byId, fill } from './dom.js';
import { bytes, count, duration, rate } from './format.js';
import { drawn } from './plot.js';

/** @typedef {import('../model.ts').Sample} Sample */

const keptMs = 60 * 60_000;
/** More points than pixels help nobody. */
const mostPoints = 400;

/** @type {readonly import('./plot.js').Plot[]} */
const all = [
  {
    title: 'Lag',
    format: duration,
    least: 1,
    lines: [{ name: 'lag', kind: 'first', value: ({ lagSeconds }) => lagSeconds }],
  },
  {
    title: 'Throughput',
    format: (value) => `${rate(value)}/s`,
    least: 10,
    lines: [
      { name: 'written', kind: 'first', value: ({ targetRowsPerSecond }) => targetRowsPerSecond },
      { name: 'changed', kind: 'second', value: ({ sourceRowsPerSecond }) => sourceRowsPerSecond },
    ],
  },
  {
    title: 'Rows in flight',
    format: count,
    least: 10,
    lines: [{ name: 'rows', kind: 'first', value: ({ inFlightKeys }) => inFlightKeys }],
  },
  {
    title: 'WAL not sent',
    format: bytes,
    least: 1_000_000,
    lines: [{ name: 'not sent', kind: 'first', value: ({ unsentBytes }) => unsentBytes }],
  },
];

/** @type {Sample[]} */
let samples = [];
/** @type {number | undefined} the moment that the reader points at */
let chosenMs;

/** @param {Sample[]} past */
export function begin(past) {
  samples = past;
  draw();
}

/** @param {Sample} sample */
export function add(sample) {
  samples.push(sample);
  const firstKept = samples.findIndex(({ atMs }) => atMs >= sample.atMs - keptMs);
  samples.splice(0, Math.max(0, firstKept));
  draw();
}

function shown() {
  const chosen = /** @type {HTMLInputElement | null} */ (document.querySelector('#window input:checked'));
  const from = (samples.at(-1)?.atMs ?? 0) - Number(chosen?.value ?? 5) * 60_000;
  const within = samples.filter(({ atMs }) => atMs >= from);
  const step = Math.ceil(within.length / mostPoints);
  return within.filter((_, index) => (within.length - 1 - index) % step === 0);
}

/** @param {readonly Sample[]} within */
function chosen(within) {
  if (chosenMs === undefined) return undefined;
  const wanted = chosenMs;
  return within.toSorted((a, b) => Math.abs(a.atMs - wanted) - Math.abs(b.atMs - wanted))[0];
}

function draw() {
  const within = shown();
  const plots = byId('plots');
  const columns = getComputedStyle(plots).gridTemplateColumns.split(' ');
  const width = Math.max(200, Math.floor(Number.parseFloat(columns[0] ?? '') || plots.clientWidth) - 2);
  fill(
    plots,
    all.map((plot) => drawn(plot, within, width, chosen(within))),
  );
}

/** @param {number} by samples to move */
function move(by) {
  const within = shown();
  const current = chosen(within) ?? within.at(-1);
  const at = within.findIndex(({ atMs }) => atMs === current?.atMs) + by;
  chosenMs = at >= within.length - 1 ? undefined : within[Math.max(0, at)]?.atMs;
  draw();
}

/** The pointer, or the arrow keys, choose a moment in all plots at once; Escape returns to now. */
export function listen() {
  const plots = byId('plots');
  plots.addEventListener('pointermove', (event) => {
    const svg = /** @type {Element} */ (event.target).closest('svg');
    const within = shown();
    const [first, last] = [within[0], within.at(-1)];
    if (!svg || !first || !last) return;
    const box = svg.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / Math.max(1, box.width)));
    chosenMs = first.atMs + share * (last.atMs - first.atMs);
    draw();
  });
  plots.addEventListener('pointerleave', () => {
    chosenMs = undefined;
    draw();
  });
  plots.addEventListener('keydown', (event) => {
    const steps = /** @type {Record<string, number>} */ ({
      ArrowLeft: -1,
      ArrowRight: 1,
      PageUp: -10,
      PageDown: 10,
      End: 1e9,
      Escape: 1e9,
      Home: -1e9,
    });
    const by = steps[event.key];
    if (by === undefined) return;
    event.preventDefault();
    move(by);
  });
  byId('window').addEventListener('change', draw);
  window.addEventListener('resize', draw);
}
