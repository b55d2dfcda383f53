import { z } from 'zod';

/*
 * One type for each thing, whichever schema it was read from. A field may be null where a legacy row may lack it, although
 * the normalized column is NOT NULL. The SQL of both sides names its columns as the fields are named here; a column more
 * or less is an error.
 */

const id = z.string();
const bytes = z.int();
const json = z.unknown();

/** `archived` is known to legacy only. */
export const jobStatus = z.enum(['queued', 'processing', 'completed', 'failed', 'cancelled', 'archived']);
export const subscriptionStatus = z.enum(['active', 'trialing', 'past_due', 'cancelled', 'expired']);

export const userSubscription = z.strictObject({
  id,
  userId: id,
  planId: z.string().nullable(),
  status: subscriptionStatus,
  currentPeriodStart: z.date(),
  currentPeriodEnd: z.date(),
  stripeSubscriptionId: z.string().nullable(),
  stripeCustomerId: z.string().nullable(),
  createdAt: z.date(),
  updatedAt: z.date(),
});
export type UserSubscription = z.infer<typeof userSubscription>;

export const subscriptionPlan = z.strictObject({
  id: z.string(),
  name: z.string(),
  displayOrder: z.int(),
  priceCents: z.int(),
  billingInterval: z.string(),
  currency: z.string(),
  /** -1 is unlimited; null allows nothing. */
  maxProjects: z.int().nullable(),
  maxVideosPerMonth: z.int().nullable(),
  maxStorageGb: z.int().nullable(),
  features: json,
  isActive: z.boolean().nullable(),
  description: z.string().nullable(),
});
export type SubscriptionPlan = z.infer<typeof subscriptionPlan>;

export const mediaFile = z.strictObject({
  id,
  userId: id,
  originalFilename: z.string().nullable(),
  fileKey: z.string(),
  fileUrl: z.string().nullable(),
  thumbnailUrl: z.string().nullable(),
  /** image, video, audio, file. */
  fileType: z.string(),
  mimeType: z.string(),
  fileSizeBytes: bytes,
  width: z.int().nullable(),
  height: z.int().nullable(),
  durationSeconds: z.int().nullable(),
  processingStatus: z.string().nullable(),
  metadata: json,
  folderPath: z.string().nullable(),
  uploadedAt: z.date(),
  createdAt: z.date(),
  updatedAt: z.date(),
});
export type MediaFile = z.infer<typeof mediaFile>;

export const projectMedia = z.strictObject({
  id,
  projectId: id,
  mediaFileId: id,
  displayOrder: z.int(),
  durationSeconds: z.number().nullable(),
  transitionType: z.string().nullable(),
  addedAt: z.date(),
});
export type ProjectMedia = z.infer<typeof projectMedia>;

export const generationJob = z.strictObject({
  id,
  projectId: id,
  userId: id,
  jobType: z.string(),
  status: jobStatus.nullable(),
  progressPercentage: z.int().nullable(),
  generationService: z.string().nullable(),
  externalJobId: z.string().nullable(),
  actualDurationSeconds: z.int().nullable(),
  outputFileId: id.nullable(),
  outputMetadata: json,
  errorMessage: z.string().nullable(),
  queuedAt: z.date(),
  startedAt: z.date().nullable(),
  completedAt: z.date().nullable(),
  failedAt: z.date().nullable(),
});
export type GenerationJob = z.infer<typeof generationJob>;

export const subscriptionFeatures = z.strictObject({
  planId: z.string(),
  features: json,
  maxProjects: z.int().nullable(),
  maxVideosPerMonth: z.int().nullable(),
  maxStorageGb: z.int().nullable(),
  isActive: z.boolean(),
});
export type SubscriptionFeatures = z.infer<typeof subscriptionFeatures>;

/** What check_user_limit knows; gigabytes are of 1024^3 bytes, months are the calendar's. */
export type UserLimit = 'projects' | 'videos_per_month' | 'storage_gb';

/** Which media files of a user, newest first. */
export interface MediaQueryOptions {
  readonly fileType?: string;
  readonly folderPath?: string;
  /** Default 100. */
  readonly limit?: number;
  /** How many to pass over. Default 0. */
  readonly offset?: number;
}

/** What an uploaded file is; its id is made by the application, so that a repeated request makes no second file. */
export interface NewMediaFile {
  readonly id: string;
  readonly originalFilename: string;
  readonly fileUrl: string;
  readonly thumbnailUrl?: string | null;
  readonly mimeType: string;
  readonly fileSizeBytes: number;
  readonly width?: number | null;
  readonly height?: number | null;
  readonly metadata?: unknown;
}

/** Fields that are left out stay as they are. */
export type MediaFileChanges = Partial<Omit<NewMediaFile, 'id'>>;

export interface NewSubscription {
  readonly id: string;
  readonly planId: string;
  readonly currentPeriodStart: Date;
  readonly currentPeriodEnd: Date;
  readonly stripeSubscriptionId?: string | null;
  readonly stripeCustomerId?: string | null;
}

export interface SubscriptionChanges extends Partial<Omit<NewSubscription, 'id'>> {
  readonly status?: z.infer<typeof subscriptionStatus>;
}

export interface NewUser {
  readonly id: string;
  readonly email: string;
  readonly displayName: string;
}

export interface CreateGenerationJobRequest {
  readonly id: string;
  readonly projectId: string;
  readonly generationService: string;
  readonly externalJobId?: string | null;
  readonly aiPrompt?: string | null;
}

export interface GenerationJobChanges {
  readonly status?: Exclude<z.infer<typeof jobStatus>, 'archived'>;
  readonly progressPercentage?: number;
  readonly externalJobId?: string | null;
  readonly errorMessage?: string | null;
  readonly startedAt?: Date | null;
  readonly completedAt?: Date | null;
  readonly durationSeconds?: number | null;
  /** The video's file; its media file has the id of the job. */
  readonly fileUrl?: string | null;
  readonly thumbnailUrl?: string | null;
  readonly fileSizeBytes?: number | null;
}
