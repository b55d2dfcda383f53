// Shows what the server tells: text is set as text, never as markup.

const byId = (id) => document.getElementById(id);
const count = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

const units = ['B', 'kB', 'MB', 'GB', 'TB'];
function bytes(value) {
  if (value === null || value === undefined) return '–';
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return `${short.format(value / 1000 ** power)} ${units[power]}`;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds < 90) return `${short.format(seconds)} s`;
  return seconds < 5400 ? `${short.format(seconds / 60)} min` : `${short.format(seconds / 3600)} h`;
}

function element(name, content, attributes = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...[content].flat());
  return made;
}

function row(...cells) {
  return element(
    'tr',
    cells.map((cell) => element('td', cell)),
  );
}

function numbersOf(status) {
  const { slot, inFlight, lag, listener, validation } = status;
  return {
    phase: status.phase,
    'lag, time': duration(lag.seconds),
    'lag, WAL': bytes(lag.bytes),
    'in flight': `${count.format(inFlight.messages)} messages`,
    'rows in flight': count.format(inFlight.keys),
    'oldest in flight': duration(inFlight.oldestAgeSeconds),
    slot: slot ? `${slot.walStatus}${slot.active ? '' : ', not read'}` : 'none',
    'WAL kept for it': bytes(slot?.retainedBytes),
    'lost in': slot?.safeWalBytes === null ? 'never (no limit)' : duration(slot?.secondsUntilLost),
    'last validation': validation
      ? `${validation.verdict ?? 'not finished'}, ${duration(validation.secondsAgo)} ago`
      : 'never',
    'listener seen': listener ? `${duration(listener.seenSecondsAgo)} ago` : 'never',
  };
}

function backfillRow(target) {
  const finished = target.targetFinishedAt !== null;
  const most = Math.max(1, target.scopesDone, target.scopesEstimated);
  const value = finished ? most : target.scopesDone;
  const state = finished ? 'done' : target.paused ? 'paused' : target.startedAt ? 'running' : 'waiting';
  const bar = element('progress', '', { max: most, value, 'aria-label': `${target.target} backfill` });
  return row(target.target, bar, count.format(target.scopesDone), count.format(target.rowsWritten), state);
}

function show(status) {
  const well = { level: 'well', text: 'Everything is in step.' };
  const findings = status.findings.length > 0 ? status.findings : [well];
  byId('findings').replaceChildren(...findings.map(({ level, text }) => element('li', text, { class: level })));
  byId('numbers').replaceChildren(
    ...Object.entries(numbersOf(status)).map(([name, value]) =>
      element('div', [element('dt', name), element('dd', value)]),
    ),
  );
  byId('backfill').replaceChildren(...status.backfill.map(backfillRow));
  byId('quarantine').replaceChildren(
    ...status.quarantine.map((group) => row(group.target, count.format(group.scopes), group.sqlState, group.message)),
  );
}

function connection(text, lost) {
  byId('connection').textContent = text;
  byId('connection').classList.toggle('lost', lost);
}

const events = new EventSource('/events');
events.addEventListener('status', (event) => {
  connection(`live, ${new Date().toLocaleTimeString()}`, false);
  show(JSON.parse(event.data));
});
events.addEventListener('trouble', (event) => connection(JSON.parse(event.data).message, true));
events.addEventListener('error', () => connection('connection lost; trying again', true));
