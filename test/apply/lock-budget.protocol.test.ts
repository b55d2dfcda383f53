import { expect, test } from 'vitest';
import { limitsWithinBudget } from '../../engine/apply/limits.ts';
import { testDatabase } from '../support/database.ts';

test('more appliers than the lock table has room for are refused before they begin, with the figures', async () => {
  await using database = await testDatabase();
  await limitsWithinBudget(database.pool, 1);
  await expect(limitsWithinBudget(database.pool, 1_000)).rejects.toMatchObject({
    code: 'LS_LOCK_BUDGET',
    message: expect.stringMatching(
      /1000 concurrent merges may take \d+ locks.*holds \d+ \(max_locks_per_transaction \d+ × max_connections \d+\)/,
    ),
  });
});
