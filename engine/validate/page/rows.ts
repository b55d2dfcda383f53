import type { DriftRow } from '../report.ts';
import { type Html, html, time } from './html.ts';

/** What two texts have in common at their beginning and their end, in characters. */
export function commonEnds(a: readonly string[], b: readonly string[]): { start: number; end: number } {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < shorter - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  return { start, end };
}

/** Spaces that would not be seen at the end of a value are drawn. */
function visible(text: string): string {
  return text.replace(/^ +| +$/g, (spaces) => '␣'.repeat(spaces.length));
}

/** A value with the part marked in which it is not the other one. */
function value(own: string | null, other: string | null): Html {
  if (own === null) return html`<span class="null">NULL</span>`;
  if (own === '') return html`<span class="null">empty text</span>`;
  if (other === null) return html`${visible(own)}`;
  // By code points: half of a surrogate pair could not be shown.
  const characters = [...own];
  const { start, end } = commonEnds(characters, [...other]);
  const part = (from: number, to: number) => characters.slice(from, to).join('');
  const [before, middle, after] = [
    part(0, start),
    part(start, characters.length - end),
    part(characters.length - end, characters.length),
  ];
  return html`${before}<mark>${visible(middle)}</mark>${after}`;
}

const kinds = { missing: 'missing in the table', extra: 'too many in the table', different: 'different' } as const;

/** One row on which both sides do not agree, side by side. */
export function driftRow(row: DriftRow): Html {
  const key = Object.entries(row.key)
    .map(([column, text]) => `${column} ${text}`)
    .join(', ');
  const columns = Object.entries(row.columns);
  return html`<details ${row.repairedAt === null && row.kind === 'different' && 'open'}><summary><b>${key}</b> – ${kinds[row.kind]}${row.repairedAt !== null && html`, <span class="agrees">repaired ${time(row.repairedAt)}</span>`}</summary>
${row.foundInScope && html`<p class="dim">The table has it under ${row.foundInScope.join(', ')}; it belongs to ${row.scope.join(', ')}.</p>`}
${
  columns.length > 0
    ? html`<table class="rows"><thead><tr><th>column</th><th>should be</th><th>is</th></tr></thead><tbody>
${columns.map(([name, { expected, present }]) => html`<tr><td>${name}</td><td class="value">${row.kind === 'extra' ? html`<span class="null">no row</span>` : value(expected, row.kind === 'missing' ? null : present)}</td><td class="value">${row.kind === 'missing' ? html`<span class="null">no row</span>` : value(present, row.kind === 'extra' ? null : expected)}</td></tr>`)}
</tbody></table>`
    : html`<p class="dim">Too many rows differ to keep the values of each; both can be read in the database.</p>`
}
<p class="dim">First seen ${time(row.firstSeenAt)}, last seen ${time(row.lastSeenAt)}.</p></details>`;
}
