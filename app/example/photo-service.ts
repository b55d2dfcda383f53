import { randomUUID } from 'node:crypto';
import type { Schemas } from '../index.ts';
import type { GenerationJob, MediaFile, ProjectMedia, UserSubscription } from '../types.ts';

export interface Upload {
  readonly name: string;
  readonly bytes: number;
}

/** What a request may answer instead of what was asked for. */
export type Refusal = 'limit reached' | 'no such project';

/**
 * A part of an application as it is while the migration runs: it says what it wants to read and write, and nowhere which
 * schema that is in. One of them serves one user.
 */
export class PhotoService {
  readonly #schemas: Schemas;
  readonly #userId: string;

  constructor(schemas: Schemas, userId: string) {
    this.#schemas = schemas;
    this.#userId = userId;
  }

  get #repositories() {
    return this.#schemas.forUser(this.#userId);
  }

  async signUp(email: string): Promise<void> {
    await this.#repositories.subscriptions.createUser({ id: this.#userId, email, displayName: email });
  }

  /** Projects do not migrate: the application writes them as ever. In one transaction with what does. */
  async createProject(title: string, first: Upload): Promise<string> {
    const projectId = randomUUID();
    await this.#repositories.write(async ({ media }, client) => {
      await client.query('INSERT INTO public.video_projects (id, user_id, title) VALUES ($1, $2, $3)', [
        projectId,
        this.#userId,
        title,
      ]);
      await media.addPhoto(projectId, fileOf(first));
    });
    return projectId;
  }

  async upload(projectId: string, upload: Upload): Promise<MediaFile | Refusal> {
    const { media, subscriptions } = this.#repositories;
    if (!(await subscriptions.checkUserLimit(this.#userId, 'storage_gb', 0))) return 'limit reached';
    const file = fileOf(upload);
    if (!(await media.addPhoto(projectId, file))) return 'no such project';
    return (await media.getMediaFile(file.id)) ?? 'no such project';
  }

  async rename(fileId: string, name: string): Promise<MediaFile | null> {
    await this.#repositories.media.updateMediaFile(fileId, { originalFilename: name });
    return await this.#repositories.media.getMediaFile(fileId);
  }

  async discard(fileId: string): Promise<boolean> {
    const discarded = await this.#repositories.media.deleteMediaFile(fileId);
    if (discarded) {
      await this.#schemas.logAuditEvent({
        userId: this.#userId,
        action: 'discard',
        resourceType: 'media_file',
        resourceId: fileId,
      });
    }
    return discarded;
  }

  /** The album in its order. */
  async album(projectId: string): Promise<ProjectMedia[]> {
    return await this.#repositories.media.getProjectMedia(projectId);
  }

  async arrange(projectId: string, fileIds: readonly string[]): Promise<ProjectMedia[]> {
    await this.#repositories.media.orderProjectMedia(projectId, fileIds);
    return await this.album(projectId);
  }

  async library(limit = 20): Promise<MediaFile[]> {
    return await this.#repositories.media.getUserMediaFiles(this.#userId, { limit });
  }

  async addToLibrary(upload: Upload): Promise<string> {
    const file = fileOf(upload);
    await this.#repositories.media.addMediaItem(this.#userId, file);
    return file.id;
  }

  async subscription(): Promise<UserSubscription | null> {
    return await this.#repositories.subscriptions.getUserSubscription(this.#userId);
  }

  async changePlan(planId: string, months: number): Promise<UserSubscription | null> {
    const currentPeriodStart = new Date();
    const currentPeriodEnd = new Date(currentPeriodStart);
    currentPeriodEnd.setUTCMonth(currentPeriodEnd.getUTCMonth() + months);
    const id = randomUUID();
    const subscription = { id, planId, currentPeriodStart, currentPeriodEnd, stripeSubscriptionId: `sub_${id}` };
    await this.#repositories.subscriptions.createSubscription(this.#userId, subscription);
    return await this.subscription();
  }

  async startVideo(projectId: string, prompt: string): Promise<GenerationJob | Refusal> {
    const { generation, subscriptions } = this.#repositories;
    if (!(await subscriptions.checkUserLimit(this.#userId, 'videos_per_month'))) return 'limit reached';
    const id = randomUUID();
    const job = { id, projectId, generationService: 'luma', aiPrompt: prompt };
    if (!(await generation.createGenerationJob(job))) return 'no such project';
    return (await generation.getGenerationJob(id)) ?? 'no such project';
  }

  /** As the service that makes the video reports it. */
  async finishVideo(jobId: string, url: string, bytes: number): Promise<GenerationJob | null> {
    await this.#repositories.generation.updateGenerationJob(jobId, {
      status: 'completed',
      progressPercentage: 100,
      completedAt: new Date(),
      fileUrl: url,
      fileSizeBytes: bytes,
      durationSeconds: 12,
    });
    return await this.#repositories.generation.getGenerationJob(jobId);
  }

  async videos(projectId: string): Promise<GenerationJob[]> {
    return await this.#repositories.generation.getProjectJobs(projectId);
  }

  /** With its file, if there is one by now. */
  async discardVideo(jobId: string): Promise<boolean> {
    return await this.#repositories.generation.deleteGenerationJob(jobId);
  }
}

function fileOf({ name, bytes }: Upload) {
  const id = randomUUID();
  const fileUrl = `https://files.example/${id}`;
  return { id, originalFilename: name, fileUrl, mimeType: 'image/jpeg', fileSizeBytes: bytes };
}
