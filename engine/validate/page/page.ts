import { whyDrift } from '../reasons.ts';
import type { CheckResult, Listing, TargetReport, ValidationReport } from '../report.ts';
import { count, duration, Html, html, time } from './html.ts';
import { type Point, plot } from './plot.ts';
import { driftRow } from './rows.ts';
import { style } from './style.ts';

const verdicts = {
  agrees: 'Both sides agree',
  differs: 'Both sides do not agree',
  unproven: 'Not proved',
} as const;
const meanings = {
  agrees: 'Every row that was compared is what the source of truth says, or a change of it is on its way.',
  differs: 'Rows have drifted, and no change on its way explains it. The source of truth is not affected.',
  unproven: 'Nothing wrong was found, but it could not be shown that nothing is wrong.',
} as const;

const sum = (targets: readonly TargetReport[], of: (target: TargetReport) => number) =>
  targets.reduce((total, target) => total + of(target), 0);
const drifted = ({ missing, extra, different }: TargetReport) => missing + extra + different;

/**
 * A report as one file for people: it loads nothing, and can be read on a screen, a phone and on paper.
 *
 * @param title whose report it is: the migration's name.
 */
export function reportPage(report: ValidationReport, title: string): string {
  const { verdict, targets } = report;
  return `<!doctype html>\n${
    html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${verdicts[verdict]} – ${title}</title><style>${new Html(style)}</style></head><body><main>
<section><h1>Validation of ${title}, ${report.direction}, ${when(report)}</h1>
<p class="verdict ${verdict}">${verdicts[verdict]}</p><p>${meanings[verdict]}</p>
${report.reasons.length > 0 && html`<ul>${report.reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`}
<div class="tiles">${tiles(report)}</div></section>
<section><h2>Coverage</h2>${coverage(report)}</section>
${targets.some((target) => drifted(target) > 0) && html`<section><h2>Drift</h2><p class="dim">${whyDrift}</p>${report.repair && repair(report.repair)}${targets.map(drift)}</section>`}
${targets.some(({ quarantined }) => quarantined.scopes + quarantined.differingRows > 0) && html`<section><h2>Quarantine</h2><p>Rows that the target refuses. They are kept apart until their data is mended, and a later merge releases them.</p>${targets.map(quarantine)}</section>`}
${report.checks.length > 0 && html`<section><h2>Counts and rules</h2>${checks(report.checks)}</section>`}
${report.listings.some(({ rows }) => rows > 0) && html`<section><h2>Worth knowing</h2>${report.listings.map(listing)}</section>`}
${report.trend.length > 0 && html`<section><h2>The last ${report.trend.length} runs</h2>${trend(report)}</section>`}
<p class="dim">Run ${report.run}, report version ${report.version}.</p></main></body></html>`.markup
  }\n`;
}

function when({ startedAt, finishedAt }: ValidationReport): string {
  return finishedAt === null ? `begun ${time(startedAt)}, not finished` : `finished ${time(finishedAt)}`;
}

function tiles(report: ValidationReport): Html[] {
  const { targets } = report;
  const tile = (label: string, value: string) => html`<div class="tile"><b>${value}</b>${label}</div>`;
  return [
    tile('rows compared', count(sum(targets, ({ compared }) => compared))),
    tile('rows drifted', count(sum(targets, (target) => drifted(target) - target.repaired))),
    tile('scopes in quarantine', count(sum(targets, ({ quarantined }) => quarantined.scopes))),
    tile('lag when it began', report.lag.barrierMs === null ? 'not caught up' : duration(report.lag.barrierMs)),
    tile(report.invocations === 1 ? 'spent' : `spent in ${report.invocations} invocations`, duration(report.spentMs)),
  ];
}

function coverage({ targets, complete, samplePercent }: ValidationReport): Html {
  const share = samplePercent === null ? 'Every row' : `A sample of ${samplePercent} % of the scopes`;
  const number = (value: number) => html`<td class="number">${count(value)}</td>`;
  return html`<p>${share} of ${targets.length} tables${complete ? ' was compared.' : ', of which not all was compared yet.'}</p>
<div class="wide"><table><thead><tr><th>table</th><th></th>${['compared', 'should be', 'are', 'missing', 'too many', 'different', 'repaired', 'unproved', 'in quarantine'].map((name) => html`<th class="number">${name}</th>`)}</tr></thead><tbody>
${targets.map((target) => html`<tr><td>${target.table}</td><td>${state(target)}</td>${[target.compared, target.expected, target.present, target.missing, target.extra, target.different, target.repaired, target.unsettled.scopes, target.quarantined.scopes].map(number)}</tr>`)}
</tbody></table></div>`;
}

function state(target: TargetReport): Html {
  if (drifted(target) > target.repaired) return html`<b class="differs">differs</b>`;
  if (!target.complete) return html`<b class="unproven">not to its end</b>`;
  return target.unsettled.scopes > 0 ? html`<b class="unproven">not proved</b>` : html`<b class="agrees">agrees</b>`;
}

function repair({ outcome, rows, inserted, updated, deleted }: NonNullable<ValidationReport['repair']>): Html {
  return html`<p>Repair: ${count(rows)} ${rows === 1 ? 'row agrees' : 'rows agree'} again (${count(inserted)} inserted, ${count(updated)} updated, ${count(deleted)} deleted)${outcome !== 'done' && `; it ended early (${outcome})`}.</p>`;
}

function more(shown: number, all: number): Html | false {
  return all > shown && html`<p class="dim">${count(all - shown)} more are in the database.</p>`;
}

function drift(target: TargetReport): Html | false {
  if (drifted(target) === 0) return false;
  return html`<h3>${target.table}: ${count(drifted(target))}</h3>${target.drift.map(driftRow)}${more(target.drift.length, drifted(target))}`;
}

function quarantine({ table, quarantined }: TargetReport): Html | false {
  if (quarantined.scopes + quarantined.differingRows === 0) return false;
  return html`<h3>${table}: ${count(quarantined.scopes)} scopes, ${count(quarantined.differingRows)} rows that differ</h3>
<div class="wide"><table><thead><tr><th>scope</th><th>refused because</th><th class="number">attempts</th></tr></thead><tbody>
${quarantined.examples.map((found) => html`<tr><td class="value scope">${found.scope.join(', ')}</td><td>${found.message} <span class="dim">(SQLSTATE ${found.sqlState})${found.detail && ` ${found.detail}`}</span></td><td class="number">${count(found.attempts)}</td></tr>`)}
</tbody></table></div>${more(quarantined.examples.length, quarantined.scopes)}
${quarantined.rows.length > 0 && html`<details><summary>Their rows, side by side</summary>${quarantined.rows.map(driftRow)}</details>`}`;
}

const outcomes = { pass: ['agrees', 'pass'], fail: ['differs', 'FAIL'], moving: ['unproven', 'moving'] } as const;

function checks(results: readonly CheckResult[]): Html {
  const names = [...new Set(results.flatMap(({ values }) => Object.keys(values)))];
  return html`${results.some(({ outcome }) => outcome === 'moving') && html`<p class="dim">Moving: while changes are on their way the two sides are never at the same point; the comparison of the rows decides.</p>`}
<div class="wide"><table><thead><tr><th>check</th><th></th>${names.map((name) => html`<th class="number">${name.replaceAll('_', ' ')}</th>`)}</tr></thead><tbody>
${results.map(({ name, outcome, values }) => html`<tr><td>${name.replaceAll('_', ' ')}</td><td><b class="${outcomes[outcome][0]}">${outcomes[outcome][1]}</b></td>${names.map((column) => html`<td class="number">${values[column]}</td>`)}</tr>`)}
</tbody></table></div>`;
}

function listing({ title, rows, columns, examples }: Listing): Html | false {
  if (rows === 0) return false;
  return html`<h3>${title}: ${count(rows)}</h3><div class="wide"><table><thead><tr>${columns.map((column) => html`<th>${column}</th>`)}</tr></thead><tbody>
${examples.map((row) => html`<tr>${row.map((cell) => html`<td class="value">${cell}</td>`)}</tr>`)}</tbody></table></div>${more(examples.length, rows)}`;
}

function trend({ trend: runs }: ValidationReport): Html {
  const points = (of: (run: (typeof runs)[number]) => number | null): Point[] =>
    runs.flatMap((run) => {
      const value = of(run);
      return value === null ? [] : [{ at: run.startedAt, value }];
    });
  return html`<div class="plots">${plot(
    'Rows drifted',
    points(({ drift: rows }) => rows),
  )}
${plot(
  'Lag when a run began',
  points(({ lagMs }) => lagMs),
  ' ms',
)}
${plot(
  'Rows of quarantined scopes that differ',
  points(({ quarantinedRows }) => quarantinedRows),
)}
${plot(
  'Rows compared',
  points(({ compared }) => compared),
)}</div>`;
}
