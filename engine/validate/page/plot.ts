import { count, Html, html, time } from './html.ts';

export interface Point {
  /** ISO 8601. */
  readonly at: string;
  readonly value: number;
}

const [width, height, left, right, top, bottom] = [480, 160, 52, 8, 12, 22];

/** The next 1, 2 or 5 times a power of ten, so that the axis ends at a number that people read easily. */
export function ceiling(value: number): number {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}

/** A line over the last runs, as SVG that needs nothing else. `unit`: put behind the axis's numbers. */
export function plot(title: string, points: readonly Point[], unit = ''): Html {
  const highest = ceiling(Math.max(0, ...points.map(({ value }) => value)));
  const x = (index: number) => left + ((width - left - right) * (index + 0.5)) / points.length;
  const y = (value: number) => top + (height - top - bottom) * (1 - value / highest);
  const line = points.map(({ value }, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
  const label = (value: number) => html`
    <line class="axis" x1="${left}" x2="${width - right}" y1="${y(value)}" y2="${y(value)}"/>
    <text x="${left - 6}" y="${y(value) + 4}" text-anchor="end">${count(value)}${unit}</text>`;
  const last = points.at(-1);
  return html`<figure style="margin:0"><figcaption>${title}${last ? html` <span class="dim">now ${count(Math.round(last.value))}${unit}</span>` : null}</figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}, ${points.length} runs">
  ${label(0)}${label(highest)}
  <polyline class="line" points="${new Html(line)}"/>
  ${points.map(({ at, value }, index) => html`<circle class="dot" cx="${x(index).toFixed(1)}" cy="${y(value).toFixed(1)}" r="2.5"><title>${time(at)}: ${count(Math.round(value))}${unit}</title></circle>`)}
  ${points[0] && html`<text x="${left}" y="${height - 6}">${time(points[0].at)}</text>`}
  ${points.length > 1 && last && html`<text x="${width - right}" y="${height - 6}" text-anchor="end">${time(last.at)}</text>`}
</svg></figure>`;
}
