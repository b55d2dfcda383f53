import type { DatabaseTemplate } from './database.ts';
import { runEngineSchema, runSqlFiles } from './photomemory.ts';

/** The engine's schema and a migration with hostile names; empty. */
export const hostileTemplate: DatabaseTemplate = {
  name: 'hostile',
  async build(pool) {
    await runEngineSchema(pool);
    await runSqlFiles(pool, new URL('../migrations/hostile/', import.meta.url), /^\d{3}_.*\.sql$/);
  },
};
