import { expect, test } from 'vitest';
import { random } from '../../sql/traffic/random.ts';

test('no two transactions of ten minutes come upon the same numbers, and so upon the same ids', () => {
  const [transactions, draws] = [24_000, 60];
  const seen = new Set<string>();
  let again = 0;
  for (let transaction = 0; transaction < transactions; transaction++) {
    const { below } = random(1, transaction);
    let previous = below(2 ** 32);
    for (let left = draws; left > 0; left--) {
      const number = below(2 ** 32);
      // A sixteenth of all places, the same ones in every sequence.
      const place = previous % 16 === 0 ? `${previous} ${number}` : undefined;
      if (place && seen.has(place)) again += 1;
      if (place) seen.add(place);
      previous = number;
    }
  }
  expect(seen.size).toBeGreaterThan(80_000);
  expect(again).toBe(0);
});

test('a seed and a stream decide everything, and numbers fall evenly', () => {
  const draw = (seed: number, stream: number) => {
    const { below } = random(seed, stream);
    return Array.from({ length: 10_000 }, () => below(10));
  };
  expect(draw(1, 2)).toEqual(draw(1, 2));
  expect(draw(1, 2)).not.toEqual(draw(2, 1));
  for (let number = 0; number < 10; number++) {
    const found = draw(3, 4).filter((drawn) => drawn === number).length;
    expect(found).toBeGreaterThan(850);
    expect(found).toBeLessThan(1_150);
  }
});
