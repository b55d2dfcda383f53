import type { FlagKey } from '../flags/rule.ts';
import { fileKey, jobKey, libraryKey, projectJobsKey, projectKey, subscriptionKey, videosKey } from '../legacy/keys.ts';
import type { Repositories } from '../repositories.ts';
import type { UserLimit } from '../types.ts';
import { answer, type Question, type ReadParts } from './read.ts';
import { type Work, type WriteParts, write } from './write.ts';

/** The repositories for the requests of one user, over both schemas. */
export interface UserRepositories extends Repositories {
  /**
   * Runs several writes (and reads, on the same side) in one transaction. It may be run again from the start, so it does
   * nothing that a rollback does not undo. `client` is for the application's tables that do not migrate.
   */
  write<T>(work: Work<T>): Promise<T>;
}

const subscriptions: readonly FlagKey[] = ['use_normalized_subscriptions'];
const media: readonly FlagKey[] = ['use_unified_media'];
const generation: readonly FlagKey[] = ['use_enhanced_generation_jobs'];

/** check_user_limit reads what it counts besides the subscription. What it does not know is only asked of the subscription. */
const limitFlags: ReadonlyMap<string, readonly FlagKey[]> = new Map<UserLimit, readonly FlagKey[]>([
  ['projects', subscriptions],
  ['videos_per_month', [...subscriptions, ...generation]],
  ['storage_gb', [...subscriptions, ...media]],
]);

/**
 * @param userId who asks, for flags by user. Without one, flags in percentages are off.
 */
export function userRepositories(parts: ReadParts & WriteParts, userId: string | undefined): UserRepositories {
  const read = <T>(question: Question<T>): Promise<T> => answer(parts, userId, question);
  const transact = <T>(work: Work<T>): Promise<T> => write(parts, work);
  return {
    write: transact,
    subscriptions: {
      getUserSubscription: (id) =>
        read({
          method: 'getUserSubscription',
          arguments: [id],
          flags: subscriptions,
          keys: [subscriptionKey(id)],
          ask: (from) => from.subscriptions.getUserSubscription(id),
        }),
      // One table, which does not migrate.
      getSubscriptionPlan: (planId) => parts.normalized.subscriptions.getSubscriptionPlan(planId),
      getUserSubscriptionFeatures: (id) =>
        read({
          method: 'getUserSubscriptionFeatures',
          arguments: [id],
          flags: subscriptions,
          keys: [subscriptionKey(id)],
          ask: (from) => from.subscriptions.getUserSubscriptionFeatures(id),
        }),
      checkUserLimit: (id, limit, amount = 1) =>
        read({
          method: 'checkUserLimit',
          arguments: [id, limit, amount],
          flags: limitFlags.get(limit) ?? subscriptions,
          keys: [subscriptionKey(id), libraryKey(id), videosKey(id)],
          ask: (from) => from.subscriptions.checkUserLimit(id, limit, amount),
        }),
      createUser: (user) => transact((to) => to.subscriptions.createUser(user)),
      createSubscription: (id, added) => transact((to) => to.subscriptions.createSubscription(id, added)),
      updateSubscription: (id, changes) => transact((to) => to.subscriptions.updateSubscription(id, changes)),
      deleteSubscriptions: (id) => transact((to) => to.subscriptions.deleteSubscriptions(id)),
    },
    media: {
      getMediaFile: (id) =>
        read({
          method: 'getMediaFile',
          arguments: [id],
          flags: media,
          keys: [fileKey(id)],
          ask: (from) => from.media.getMediaFile(id),
        }),
      getUserMediaFiles: (id, options = {}) =>
        read({
          method: 'getUserMediaFiles',
          arguments: [id, options],
          flags: media,
          keys: [libraryKey(id)],
          ask: (from) => from.media.getUserMediaFiles(id, options),
        }),
      getProjectMedia: (projectId) =>
        read({
          method: 'getProjectMedia',
          arguments: [projectId],
          flags: media,
          keys: [projectKey(projectId)],
          ask: (from) => from.media.getProjectMedia(projectId),
        }),
      addPhoto: (projectId, file) => transact((to) => to.media.addPhoto(projectId, file)),
      addMediaItem: (id, file) => transact((to) => to.media.addMediaItem(id, file)),
      updateMediaFile: (id, changes) => transact((to) => to.media.updateMediaFile(id, changes)),
      deleteMediaFile: (id) => transact((to) => to.media.deleteMediaFile(id)),
      orderProjectMedia: (projectId, ids) => transact((to) => to.media.orderProjectMedia(projectId, ids)),
    },
    generation: {
      getGenerationJob: (id) =>
        read({
          method: 'getGenerationJob',
          arguments: [id],
          flags: generation,
          keys: [jobKey(id)],
          ask: (from) => from.generation.getGenerationJob(id),
        }),
      getProjectJobs: (projectId) =>
        read({
          method: 'getProjectJobs',
          arguments: [projectId],
          flags: generation,
          keys: [projectJobsKey(projectId)],
          ask: (from) => from.generation.getProjectJobs(projectId),
        }),
      createGenerationJob: (job) => transact((to) => to.generation.createGenerationJob(job)),
      updateGenerationJob: (id, changes) => transact((to) => to.generation.updateGenerationJob(id, changes)),
      deleteGenerationJob: (id) => transact((to) => to.generation.deleteGenerationJob(id)),
    },
  };
}
