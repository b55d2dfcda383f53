import type { DatabaseTemplate } from './database.ts';
import { runEngineSchema, runSqlFiles } from './photomemory.ts';

/** The engine's schema and a small migration with a way back; empty. */
export const libraryTemplate: DatabaseTemplate = {
  name: 'library',
  async build(pool) {
    await runEngineSchema(pool);
    await runSqlFiles(pool, new URL('../migrations/library/', import.meta.url), /^\d{3}_.*\.sql$/);
  },
};
