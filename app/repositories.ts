import type {
  CreateGenerationJobRequest,
  GenerationJob,
  GenerationJobChanges,
  MediaFile,
  MediaFileChanges,
  MediaQueryOptions,
  NewMediaFile,
  NewSubscription,
  NewUser,
  ProjectMedia,
  SubscriptionChanges,
  SubscriptionFeatures,
  SubscriptionPlan,
  UserLimit,
  UserSubscription,
} from './types.ts';

/*
 * What the application calls. There are two implementations, `legacy/` and `normalized/`, that answer alike on the same
 * state, and the schema manager (`manager/`), which has the same interface and chooses between them.
 *
 * Writes answer whether there was something to write to. What the database refuses (an unknown project, a plan that does
 * not exist) is thrown as the server says it.
 */

export interface SubscriptionRepository {
  /** The active one. */
  getUserSubscription(userId: string): Promise<UserSubscription | null>;
  getSubscriptionPlan(planId: string): Promise<SubscriptionPlan | null>;
  /** Plan and limits of the active subscription, and whether its period has not ended (get_user_subscription_features). */
  getUserSubscriptionFeatures(userId: string): Promise<SubscriptionFeatures | null>;
  /** Whether the user may have so much more (check_user_limit, erratum 16). */
  checkUserLimit(userId: string, limit: UserLimit, requestedAmount?: number): Promise<boolean>;
  /** Someone new, on the free plan. */
  createUser(user: NewUser): Promise<void>;
  /** The new one is active, in the place of one that was. */
  createSubscription(userId: string, subscription: NewSubscription): Promise<boolean>;
  /** Of the active subscription. Status `cancelled` ends it. */
  updateSubscription(userId: string, changes: SubscriptionChanges): Promise<boolean>;
  /** All of the user's subscriptions; after that he is on the free plan, as one who is new. */
  deleteSubscriptions(userId: string): Promise<boolean>;
}

export interface MediaRepository {
  getMediaFile(id: string): Promise<MediaFile | null>;
  /** Newest first. */
  getUserMediaFiles(userId: string, options?: MediaQueryOptions): Promise<MediaFile[]>;
  /** In their order. */
  getProjectMedia(projectId: string): Promise<ProjectMedia[]>;
  /** At the end of the project. False: there is no such project, or it has no owner. */
  addPhoto(projectId: string, file: NewMediaFile): Promise<boolean>;
  /** Into the library of the user. False: there is no such user. */
  addMediaItem(userId: string, file: NewMediaFile): Promise<boolean>;
  /** Of a photo or media item; a generated video's file belongs to its job. */
  updateMediaFile(id: string, changes: MediaFileChanges): Promise<boolean>;
  deleteMediaFile(id: string): Promise<boolean>;
  /** The photos named come first, in that order; the others follow in the order they have. */
  orderProjectMedia(projectId: string, mediaFileIds: readonly string[]): Promise<boolean>;
}

export interface GenerationRepository {
  getGenerationJob(id: string): Promise<GenerationJob | null>;
  /** Newest first. */
  getProjectJobs(projectId: string): Promise<GenerationJob[]>;
  /** Queued. False: there is no such project, or it has no owner. */
  createGenerationJob(job: CreateGenerationJobRequest): Promise<boolean>;
  updateGenerationJob(id: string, changes: GenerationJobChanges): Promise<boolean>;
  /** With its video. */
  deleteGenerationJob(id: string): Promise<boolean>;
}

export interface Repositories {
  readonly subscriptions: SubscriptionRepository;
  readonly media: MediaRepository;
  readonly generation: GenerationRepository;
}
