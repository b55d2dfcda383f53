import type { Repositories } from '../../../app/repositories.ts';
import type { GenerationJob } from '../../../app/types.ts';

export interface RememberedFile {
  readonly userId: string;
  name: string;
}

export interface RememberedVideo {
  readonly userId: string;
  readonly projectId: string;
  readonly prompt: string;
  url: string | null;
}

/** What an application has been told is committed. */
export class Memory {
  /** The plan of each person. */
  readonly plans = new Map<string, string>();
  readonly files = new Map<string, RememberedFile>();
  /** Each project's files, in order. */
  readonly albums = new Map<string, string[]>();
  readonly videos = new Map<string, RememberedVideo>();
  readonly discarded = new Set<string>();
  /** Files that were discarded, each with an entry in the audit log. */
  audited = 0;

  videosOf(projectId: string): string[] {
    return [...this.videos].filter(([, video]) => video.projectId === projectId).map(([id]) => id);
  }

  /** Of one person: uploads, and the files of finished videos. */
  filesOf(userId: string): string[] {
    const finished = [...this.videos].filter(([, video]) => video.userId === userId && video.url !== null);
    const uploaded = [...this.files].filter(([, file]) => file.userId === userId);
    return [...finished, ...uploaded].map(([id]) => id).sort();
  }
}

export function urlOf(job: GenerationJob | null): unknown {
  const output = job?.outputMetadata;
  return typeof output === 'object' && output !== null && 'file_url' in output ? output.file_url : undefined;
}

/** Everything in which one side is not what the application remembers. */
export async function forgotten(memory: Memory, { subscriptions, media, generation }: Repositories): Promise<string[]> {
  const found: string[] = [];
  const expect = (what: string, is: unknown, remembered: unknown) => {
    const [seen, known] = [JSON.stringify(is), JSON.stringify(remembered)];
    if (seen !== known) found.push(`${what} is ${seen}, and should be ${known}`);
  };
  for (const [userId, plan] of memory.plans) {
    expect(`plan of ${userId}`, (await subscriptions.getUserSubscription(userId))?.planId, plan);
    const files = await media.getUserMediaFiles(userId, { limit: 100_000 });
    expect(`files of ${userId}`, files.map(({ id }) => id).sort(), memory.filesOf(userId));
  }
  for (const [id, { name }] of memory.files)
    expect(`name of ${id}`, (await media.getMediaFile(id))?.originalFilename, name);
  for (const [projectId, album] of memory.albums) {
    const shown = await media.getProjectMedia(projectId);
    expect(
      `album ${projectId}`,
      shown.map(({ mediaFileId }) => mediaFileId),
      album,
    );
    const jobs = await generation.getProjectJobs(projectId);
    expect(`videos of ${projectId}`, jobs.map(({ id }) => id).sort(), memory.videosOf(projectId).sort());
  }
  for (const [id, { url }] of memory.videos) expect(`video ${id}`, urlOf(await generation.getGenerationJob(id)), url);
  for (const id of memory.discarded) {
    expect(`discarded ${id}`, [await media.getMediaFile(id), await generation.getGenerationJob(id)], [null, null]);
  }
  return found;
}
