import type { Repositories } from '../repositories.ts';
import type { Sql } from '../sql.ts';
import { type LegacyGenerationRepository, legacyGeneration } from './generation.ts';
import type { Touch } from './keys.ts';
import { type LegacyMediaRepository, legacyMedia } from './media.ts';
import { type LegacySubscriptionRepository, legacySubscriptions } from './subscriptions.ts';

export interface LegacyRepositories extends Repositories {
  readonly subscriptions: LegacySubscriptionRepository;
  readonly media: LegacyMediaRepository;
  readonly generation: LegacyGenerationRepository;
}

/** All repositories on the legacy tables. `touch` is told what each write changes. */
export function legacyRepositories(sql: Sql, touch: Touch = () => undefined): LegacyRepositories {
  return {
    subscriptions: legacySubscriptions(sql, touch),
    media: legacyMedia(sql, touch),
    generation: legacyGeneration(sql, touch),
  };
}
