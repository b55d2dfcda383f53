import { InvalidArgumentError } from 'commander';

/** Parsers of option values; each throws what Commander turns into a sentence. */

export function wholeNumber(minimum: number, maximum = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${minimum} to ${maximum}.`);
  };
}

export const port = wholeNumber(1, 65_535);

/** Seconds, fractions allowed, as milliseconds. */
export function seconds(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0) return value * 1000;
  throw new InvalidArgumentError('It must be a number of seconds above 0.');
}

const unitsMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** A time with its unit (`200ms`, `5s`, `30m`, `24h`), as milliseconds; without one, seconds. */
export function duration(text: string): number {
  const [, value, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const ms = Number(value) * unitsMs[(unit ?? 's') as keyof typeof unitsMs];
  if (ms >= 1) return ms;
  throw new InvalidArgumentError('It must be a time above 0, such as 200ms, 5s, 30m or 24h.');
}

export function percent(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0 && value < 100) return value;
  throw new InvalidArgumentError('It must be a number above 0 and below 100.');
}

/** A number above 0, fractions allowed. */
export function factor(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('It must be a number above 0.');
}
