import type { Repositories } from '../repositories.ts';
import type { Sql } from '../sql.ts';
import { normalizedGeneration } from './generation.ts';
import { normalizedMedia } from './media.ts';
import { normalizedSubscriptions } from './subscriptions.ts';

/** All repositories on the normalized tables: what is left of this folder when the migration is complete. */
export function normalizedRepositories(sql: Sql): Repositories {
  return {
    subscriptions: normalizedSubscriptions(sql),
    media: normalizedMedia(sql),
    generation: normalizedGeneration(sql),
  };
}
