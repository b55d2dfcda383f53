const text = (value: string): unknown => value;
const json = (value: string): unknown => JSON.parse(value);

/** By the type's number in pg_type; what is not named stays text. */
const parsers: Readonly<Record<number, (value: string) => unknown>> = {
  16: (value) => value === 't', // boolean
  20: Number, // bigint: the schema refuses what a number cannot hold exactly
  21: Number, // smallint
  23: Number, // integer
  114: json,
  1184: parseTimestamp, // timestamptz
  1700: Number, // numeric
  3802: json, // jsonb
};

/** The parser of a type. Our own, because an application may have changed those of pg for the whole process. */
export function parseValue(oid: number): (value: string) => unknown {
  return parsers[oid] ?? text;
}

/** The farthest moments that a Date can be. */
const endOfTime = new Date(8_640_000_000_000_000);
const beginningOfTime = new Date(-8_640_000_000_000_000);

const timestampShape =
  /^(\d{4,})-(\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,3})?)\d*([+-]\d\d)(?::?(\d\d))?(?::\d\d)?( BC)?$/;

/**
 * A timestamptz as text (DateStyle ISO, the default). Microseconds are cut off. `infinity`, which legacy rows use for "no
 * end", becomes the farthest Date there is. What cannot be read becomes an invalid Date, which the row's schema refuses.
 */
export function parseTimestamp(value: string): Date {
  if (value === 'infinity') return endOfTime;
  if (value === '-infinity') return beginningOfTime;
  const [, year = '', day = '', time = '', hours = '', minutes = '00', beforeChrist] = timestampShape.exec(value) ?? [];
  const signed = beforeChrist ? `-${String(Number(year) - 1).padStart(6, '0')}` : `+${year.padStart(6, '0')}`;
  return new Date(`${year.length === 4 && !beforeChrist ? year : signed}-${day}T${time}${hours}:${minutes}`);
}
