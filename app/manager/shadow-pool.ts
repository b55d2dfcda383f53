import pg from 'pg';
import type { Observe } from '../events.ts';

/**
 * One connection for shadow reads, opened like those of the application's pool when it is needed. A comparison may be slow,
 * wait for a lock, or never end: in the application's pool, answers would wait with it.
 */
export function openShadowPool({ options }: pg.Pool, observe: Observe): pg.Pool {
  // pg hides the password of a pool from whoever copies its options.
  const { password } = options;
  const pool = new pg.Pool({ ...options, password, min: 0, max: 1, application_name: 'lockstep shadow reads' });
  // Of an idle connection: the next comparison opens another.
  pool.on('error', (error) => observe({ event: 'shadow-failed', error }));
  return pool;
}
