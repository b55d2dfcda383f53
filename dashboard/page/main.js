// Shows what the server tells, as it tells it.

import { byId, fill } from './dom.js';
import { clockTime } from './format.js';
import * as plots from './plots.js';
import { events, quarantine, reports, slot, targets } from './targets.js';
import { cost, figures, stations, verdict } from './verdict.js';

/** @typedef {import('../model.ts').Snapshot} Snapshot */
/** @typedef {import('../model.ts').Sample} Sample */

/** @type {Sample | undefined} */
let lastSample;

/** @param {Snapshot} snapshot */
function show(snapshot) {
  document.querySelector('main')?.removeAttribute('hidden');
  document.title = `${snapshot.verdict.title} · Lockstep`;
  document.querySelector('link[rel=icon]')?.setAttribute('href', `/icon-${snapshot.verdict.level}.svg`);
  document.body.dataset.level = snapshot.verdict.level;
  fill(byId('where'), `${snapshot.migration}, ${snapshot.database}`);
  fill(byId('verdict'), verdict(snapshot));
  fill(byId('stations'), stations(snapshot));
  fill(byId('figures'), figures(snapshot, lastSample));
  fill(byId('targets'), targets(snapshot));
  fill(byId('quarantine'), quarantine(snapshot));
  fill(byId('slot'), slot(snapshot));
  fill(byId('reports'), reports(snapshot));
  fill(byId('events'), events(snapshot));
  fill(byId('cost'), cost(snapshot.cost));
}

/**
 * @param {string} text
 * @param {'live' | 'lost'} state
 */
function connection(text, state) {
  const line = byId('connection');
  if (line.textContent !== text) line.textContent = text;
  line.className = state;
  document.body.classList.toggle('stale', state === 'lost');
}

const feed = new EventSource('/events');

feed.addEventListener('past', (event) => {
  const { samples } = JSON.parse(event.data);
  lastSample = samples.at(-1);
  plots.begin(samples);
});

feed.addEventListener('status', (event) => {
  /** @type {{ snapshot: Snapshot, sample: Sample | null }} */
  const { snapshot, sample } = JSON.parse(event.data);
  lastSample = sample ?? lastSample;
  show(snapshot);
  if (sample) plots.add(sample);
  connection(`live, as of ${clockTime(snapshot.atMs)}`, 'live');
});

feed.addEventListener('trouble', (event) => connection(`not up to date: ${JSON.parse(event.data).message}`, 'lost'));
feed.addEventListener('error', () => connection('connection lost; trying again', 'lost'));

plots.listen();
