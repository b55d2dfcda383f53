// Amounts as people read them. Nothing known is a dash.

const whole = new Intl.NumberFormat('en');
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayAndClock = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});

const nothing = '–';

/** @param {number | null | undefined} value */
export function count(value) {
  return value === null || value === undefined ? nothing : whole.format(Math.round(value));
}

/** @param {number | null | undefined} value */
export function rate(value) {
  if (value === null || value === undefined) return nothing;
  return value > 0 && value < 10 ? tenths.format(value) : whole.format(Math.round(value));
}

const units = ['B', 'kB', 'MB', 'GB', 'TB'];

/** @param {number | null | undefined} value */
export function bytes(value) {
  if (value === null || value === undefined) return nothing;
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return `${tenths.format(value / 1000 ** power)} ${units[power]}`;
}

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return nothing;
  if (seconds < 0.05) return '0 s';
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${tenths.format(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** @param {number} atMs */
export function clockTime(atMs) {
  return clock.format(atMs);
}

/**
 * The time of day, and the day when it is another one.
 * @param {number} atMs
 * @param {number} nowMs
 */
export function moment(atMs, nowMs) {
  return new Date(atMs).toDateString() === new Date(nowMs).toDateString()
    ? clock.format(atMs)
    : dayAndClock.format(atMs);
}

/**
 * @param {number} atMs
 * @param {number} nowMs
 */
export function ago(atMs, nowMs) {
  const seconds = Math.max(0, nowMs - atMs) / 1000;
  return seconds < 2 ? 'just now' : `${duration(seconds < 10 ? Math.round(seconds) : seconds).replace('.0', '')} ago`;
}

/**
 * @param {number} amount
 * @param {string} one
 */
export function plural(amount, one) {
  return `${count(amount)} ${one}${amount === 1 ? '' : 's'}`;
}
