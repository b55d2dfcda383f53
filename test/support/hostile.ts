import type { DatabaseTemplate } from './database.ts';
import { runSqlFiles } from './photomemory.ts';

/** The engine's schema and a migration with hostile names; empty. */
export const hostileTemplate: DatabaseTemplate = {
  name: 'hostile',
  async build(pool) {
    await runSqlFiles(pool, new URL('../../engine/schema/', import.meta.url), /^\d{3}_.*\.sql$/);
    await runSqlFiles(pool, new URL('../migrations/hostile/', import.meta.url), /^\d{3}_.*\.sql$/);
  },
};
