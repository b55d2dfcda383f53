import type pg from 'pg';
import type { Random } from '../../engine/random.ts';
import { sqlState } from '../../engine/sqlstate.ts';

/**
 * A transaction of a few statements; some with a savepoint rolled back, some rolled back as a whole. What the legacy
 * schema itself refuses (a foreign key, a number too large, a deadlock among the writers) is rolled back too; other errors are thrown.
 */
export async function transact(
  client: pg.ClientBase,
  statement: (random: Random) => string,
  random: Random,
): Promise<'committed' | 'rolled back'> {
  await client.query('BEGIN');
  try {
    for (let left = 1 + random.integer(4); left > 0; left--) {
      if (random.chance(0.1)) {
        await client.query('SAVEPOINT s');
        await client.query(statement(random));
        await client.query('ROLLBACK TO SAVEPOINT s');
      }
      await client.query(statement(random));
    }
    // What it has locked is waited for by merges meanwhile.
    if (random.chance(0.2)) await client.query('SELECT pg_sleep($1)', [random.integer(20) / 1000]);
    const commit = !random.chance(0.1);
    await client.query(commit ? 'COMMIT' : 'ROLLBACK');
    return commit ? 'committed' : 'rolled back';
  } catch (error) {
    if (!/^(22|23|40)/.test(sqlState(error) ?? '')) throw error;
    await client.query('ROLLBACK');
    return 'rolled back';
  }
}
