import type { DatabaseTemplate } from './database.ts';
import { runEngineSchema, runSqlFiles } from './photomemory.ts';

/** The engine's schema and the second migration, which shares nothing with PhotoMemory; empty. */
export const warehouseTemplate: DatabaseTemplate = {
  name: 'warehouse',
  async build(pool) {
    await runEngineSchema(pool);
    await runSqlFiles(pool, new URL('../migrations/warehouse/', import.meta.url), /^\d{3}_.*\.sql$/);
  },
};
