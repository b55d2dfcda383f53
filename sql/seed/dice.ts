import { createHash } from 'node:crypto';

/** What the seed's SQL is made of: expressions that a seed and a row's number decide, the same on every server. */
export interface Dice {
  /** The id of row `number` (an SQL expression) of a kind. */
  id(kind: string, number: string): string;
  /** A whole number from 0 up to `sides` - 1; `question` tells apart what is asked about one row. */
  roll(question: string, number: string, sides: number): string;
  /** True where `first` (an SQL condition that a small seed meets too) holds, and for one row in `oneIn` others. */
  rarely(question: string, number: string, first: string, oneIn: number): string;
  /** One of these SQL expressions, each as likely as the others. */
  pick(question: string, number: string, choices: readonly string[]): string;
}

/**
 * PostgreSQL's own hash of the row's number, under a seed of each question's own; it is the same on every version.
 *
 * @throws RangeError when the seed is not a whole number.
 */
export function dice(seed: number): Dice {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`a seed is a whole number, not ${seed}`);
  const roll = (question: string, number: string, sides: number) => {
    const questionSeed = createHash('md5').update(`${question} ${seed}`).digest().readBigInt64BE();
    return `((hashint8extended((${number})::bigint, '${questionSeed}') & 9223372036854775807) % ${sides})::integer`;
  };
  return {
    id: (kind, number) => `md5('${kind} ' || (${number}) || ' ${seed}')::uuid`,
    roll,
    rarely: (question, number, first, oneIn) => `((${first}) OR ${roll(question, number, oneIn)} = 0)`,
    pick: (question, number, choices) =>
      `(ARRAY[${choices.join(', ')}])[1 + ${roll(question, number, choices.length)}]`,
  };
}

/** Where the seed's time begins. A minute's step keeps times independent of the session's time zone. */
export const minutesAfterStart = (minutes: string) =>
  `timestamptz '2024-01-01 00:00:00+00' + (${minutes}) * interval '1 minute'`;

/** How many rows of one kind of orphan there are: one of each at least. */
export const orphans = (users: number, oneInUsers: number) => Math.max(1, Math.floor(users / oneInUsers));
