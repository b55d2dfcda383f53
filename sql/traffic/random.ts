/** Chance that a seed decides: the same seed asks the same questions and gets the same answers. */
export interface Random {
  /** A whole number from 0 up to `limit` - 1. */
  below(limit: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  pick<T>(choices: readonly [T, ...T[]]): T;
  /** A version 4 UUID. */
  uuid(): string;
}

/** @param stream tells apart sequences of one seed. */
export function random(seed: number, stream: number): Random {
  const next = sfc32(seed, stream);
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    below,
    chance: (probability) => next() < probability,
    pick: (choices) => choices[below(choices.length)] ?? choices[0],
    uuid() {
      const hex = Array.from({ length: 4 }, () =>
        below(2 ** 32)
          .toString(16)
          .padStart(8, '0'),
      ).join('');
      const variant = '89ab'[below(4)];
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
    },
  };
}

const warmUps = 12;

/**
 * Chris Doty-Humphrey's sfc32. Its 128 bits of state hold seed and stream whole: with fewer, two transactions of one run come
 * upon the same state after some ten thousand, and give their rows the same ids. https://pracrand.sourceforge.net/
 */
function sfc32(seed: number, stream: number): () => number {
  let [a, b, c, counter] = [seed | 0, stream | 0, Math.floor(stream / 2 ** 32) | 0, 1];
  const next = () => {
    const mixed = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + mixed) | 0;
    return (mixed >>> 0) / 2 ** 32;
  };
  for (let left = warmUps; left > 0; left--) next();
  return next;
}
