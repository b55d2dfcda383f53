/** What a figure has to reach: of ratios and rates at least, of times at most. */
export interface Target {
  readonly kind: 'at least' | 'at most';
  readonly value: number;
}

/** The middle value; the mean of the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of nothing');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const at = (index: number) => sorted[index] ?? Number.NaN;
  return sorted.length % 2 === 1 ? at(Math.floor(middle)) : (at(middle - 1) + at(middle)) / 2;
}

/** The smallest value that so many percent do not exceed (nearest rank). */
export function percentile(values: readonly number[], percent: number): number {
  if (values.length === 0) throw new RangeError('a percentile of nothing');
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

/** Turn by turn, so that what disturbs the machine for a while disturbs both sides of a ratio. */
export function ratios(numerators: readonly number[], denominators: readonly number[]): number[] {
  if (numerators.length !== denominators.length) throw new RangeError('turns without a counterpart');
  return numerators.map((value, turn) => value / (denominators[turn] ?? Number.NaN));
}

export function isMet(figure: number, { kind, value }: Target): boolean {
  return kind === 'at least' ? figure >= value : figure <= value;
}

/** Three significant digits; thousands are kept whole and grouped. */
export function pretty(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)));
}
