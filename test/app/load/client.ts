import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { PhotoService } from '../../../app/example/photo-service.ts';
import type { Schemas } from '../../../app/index.ts';
import type { Random } from '../../../engine/random.ts';
import type { Latencies } from './latencies.ts';
import { Memory, urlOf } from './memory.ts';

/** Between two requests of a client; longer when answers take long, so that a busy machine has fewer requests and does not drown. */
const thinkMs = (tookMs: number) => Math.max(100, 3 * tookMs);
/** Each works for several people, so that what is written of one of them is quiet for a while. */
const peopleAtFirst = 3;

const upload = (random: Random) => ({ name: `${random.integer(1_000_000)}.jpg`, bytes: 1_000 + random.integer(5_000) });

/**
 * A client of the application: asks for one thing after the other, remembers what it has been told is committed, and
 * compares every answer with that.
 */
export class Client {
  readonly memory = new Memory();
  /** What a caller must not see. */
  readonly errors: string[] = [];
  readonly #schemas: Schemas;
  readonly #random: Random;
  readonly #latencies: Latencies;

  constructor(schemas: Schemas, random: Random, latencies: Latencies) {
    this.#schemas = schemas;
    this.#random = random;
    this.#latencies = latencies;
  }

  async run(signal: AbortSignal): Promise<void> {
    for (let n = 0; n < peopleAtFirst; n += 1) await this.#try('signUp', () => this.#signUp());
    while (!signal.aborted) {
      const [name, request] = this.#next();
      const startedMs = performance.now();
      await this.#try(name, request);
      await pause(thinkMs(performance.now() - startedMs));
    }
  }

  /** Someone new, who is there before `across`. */
  async begin(): Promise<void> {
    await this.#signUp();
  }

  /** A request whose transaction has begun when `change` is made, and which then writes: it meets the guard of what was changed. */
  async across<T>(change: () => Promise<T>): Promise<T> {
    const { projectId, album, userId } = this.#project();
    const id = randomUUID();
    const name = `across ${id}.jpg`;
    const begun = Promise.withResolvers<void>();
    const changed = begun.promise.then(change);
    const written = this.#schemas.forUser(userId).write(async ({ media }) => {
      begun.resolve();
      await changed;
      const fileUrl = `https://files.example/${id}`;
      await media.addPhoto(projectId, {
        id,
        originalFilename: name,
        fileUrl,
        mimeType: 'image/jpeg',
        fileSizeBytes: 1_000,
      });
    });
    await Promise.all([changed, written]);
    this.memory.files.set(id, { userId, name });
    album.push(id);
    return await changed;
  }

  async #try(name: string, request: () => Promise<void>): Promise<void> {
    try {
      await request();
    } catch (error) {
      const { code } = error as { code?: string };
      this.errors.push(`${this.#latencies.stage}, ${name}: ${code ?? ''} ${String(error)}`);
    }
  }

  /** Mostly reads, as applications do. */
  #next(): [name: string, request: () => Promise<void>] {
    const random = this.#random;
    const requests: [share: number, name: string, request: () => Promise<void>][] = [
      [22, 'album', () => this.#album()],
      [18, 'library', () => this.#library()],
      [10, 'subscription', () => this.#subscription()],
      [8, 'videos', () => this.#videos()],
      [14, 'upload', () => this.#upload()],
      [4, 'addToLibrary', () => this.#addToLibrary()],
      [5, 'rename', () => this.#rename()],
      [3, 'discard', () => this.#discard()],
      [4, 'arrange', () => this.#arrange()],
      [4, 'startVideo', () => this.#startVideo()],
      [3, 'finishVideo', () => this.#finishVideo()],
      [1, 'discardVideo', () => this.#discardVideo()],
      [2, 'changePlan', () => this.#changePlan()],
      [1, 'createProject', () => this.#createProject(this.#someone())],
      [1, 'signUp', () => this.#signUp()],
    ];
    let place = random.integer(requests.reduce((sum, [share]) => sum + share, 0));
    for (const [share, name, request] of requests) {
      if (place < share) return [name, request];
      place -= share;
    }
    throw new RangeError('no request');
  }

  #read<T>(request: () => Promise<T>): Promise<T> {
    return this.#latencies.measure('read', request);
  }

  #write<T>(request: () => Promise<T>): Promise<T> {
    return this.#latencies.measure('write', request);
  }

  #expect(what: string, is: unknown, remembered: unknown): void {
    if (isDeepStrictEqual(is, remembered)) return;
    throw new Error(`${what} is ${JSON.stringify(is)}, and should be ${JSON.stringify(remembered)}`);
  }

  #service(userId: string): PhotoService {
    return new PhotoService(this.#schemas, userId);
  }

  #one<T>(of: Iterable<T>): T | undefined {
    const all = [...of];
    return all[this.#random.integer(Math.max(1, all.length))];
  }

  #someone(): string {
    return this.#one(this.memory.plans.keys()) ?? '';
  }

  /** A project, and whose it is. */
  #project(): { projectId: string; album: string[]; service: PhotoService; userId: string } {
    const [projectId = '', album = []] = this.#one(this.memory.albums) ?? [];
    const userId = this.#owners.get(projectId) ?? '';
    return { projectId, album, userId, service: this.#service(userId) };
  }
  readonly #owners = new Map<string, string>();

  async #signUp(): Promise<void> {
    const userId = randomUUID();
    await this.#write(() => this.#service(userId).signUp(`${userId}@mail.example`));
    this.memory.plans.set(userId, 'free');
    await this.#subscription(userId);
    await this.#changePlan(userId);
    await this.#createProject(userId);
  }

  async #createProject(userId: string): Promise<void> {
    const first = upload(this.#random);
    const projectId = await this.#write(() => this.#service(userId).createProject('A trip', first));
    const shown = await this.#read(() => this.#service(userId).album(projectId));
    const album = shown.map(({ mediaFileId }) => mediaFileId);
    this.#expect('photos of a new project', album.length, 1);
    for (const id of album) this.memory.files.set(id, { userId, name: first.name });
    this.memory.albums.set(projectId, album);
    this.#owners.set(projectId, userId);
  }

  async #album(): Promise<void> {
    const { projectId, album, service } = this.#project();
    const shown = await this.#read(() => service.album(projectId));
    this.#expect(
      'album',
      shown.map(({ mediaFileId }) => mediaFileId),
      album,
    );
  }

  async #library(): Promise<void> {
    const userId = this.#someone();
    const files = await this.#read(() => this.#service(userId).library(10_000));
    this.#expect('library', files.map(({ id }) => id).sort(), this.memory.filesOf(userId));
  }

  async #subscription(userId = this.#someone()): Promise<void> {
    const subscription = await this.#read(() => this.#service(userId).subscription());
    this.#expect('plan', subscription?.planId, this.memory.plans.get(userId));
  }

  async #videos(): Promise<void> {
    const { projectId, service } = this.#project();
    const jobs = await this.#read(() => service.videos(projectId));
    this.#expect('videos', jobs.map(({ id }) => id).sort(), this.memory.videosOf(projectId).sort());
    for (const job of jobs) this.#expect('video', urlOf(job), this.memory.videos.get(job.id)?.url);
  }

  async #upload(): Promise<void> {
    const { projectId, album, service, userId } = this.#project();
    const wanted = upload(this.#random);
    const file = await this.#write(() => service.upload(projectId, wanted));
    if (typeof file === 'string') throw new Error(file);
    this.memory.files.set(file.id, { userId, name: wanted.name });
    album.push(file.id);
    this.#expect('uploaded file', [file.originalFilename, file.fileSizeBytes], [wanted.name, wanted.bytes]);
  }

  async #addToLibrary(): Promise<void> {
    const userId = this.#someone();
    const wanted = upload(this.#random);
    const id = await this.#write(() => this.#service(userId).addToLibrary(wanted));
    this.memory.files.set(id, { userId, name: wanted.name });
  }

  async #rename(): Promise<void> {
    const [id, file] = this.#one(this.memory.files) ?? ['', undefined];
    if (!file) return;
    const name = `renamed ${this.#random.integer(1_000_000)}`;
    const renamed = await this.#write(() => this.#service(file.userId).rename(id, name));
    file.name = name;
    this.#expect('renamed file', renamed?.originalFilename, name);
  }

  async #discard(): Promise<void> {
    const [id, file] = this.#one(this.memory.files) ?? ['', undefined];
    if (!file) return;
    const discarded = await this.#write(() => this.#service(file.userId).discard(id));
    this.memory.files.delete(id);
    this.memory.discarded.add(id);
    this.memory.audited += 1;
    for (const album of this.memory.albums.values()) if (album.includes(id)) album.splice(album.indexOf(id), 1);
    this.#expect('discarded', discarded, true);
  }

  async #arrange(): Promise<void> {
    const { projectId, album, service } = this.#project();
    const first = album.filter(() => this.#random.chance(0.3)).reverse();
    const rest = album.filter((id) => !first.includes(id));
    const shown = await this.#write(() => service.arrange(projectId, first));
    album.splice(0, album.length, ...first, ...rest);
    this.#expect(
      'arranged album',
      shown.map(({ mediaFileId }) => mediaFileId),
      album,
    );
  }

  async #changePlan(userId = this.#someone()): Promise<void> {
    const plan = this.#random.pick(['pro', 'enterprise']);
    const changed = await this.#write(() => this.#service(userId).changePlan(plan, 12));
    this.memory.plans.set(userId, plan);
    this.#expect('changed plan', changed?.planId, plan);
  }

  async #startVideo(): Promise<void> {
    const { projectId, service, userId } = this.#project();
    const prompt = `scene ${this.#random.integer(1_000_000)}`;
    const job = await this.#write(() => service.startVideo(projectId, prompt));
    if (typeof job === 'string') throw new Error(job);
    this.memory.videos.set(job.id, { userId, projectId, prompt, url: null });
    this.#expect('new video', [job.status, urlOf(job)], ['queued', null]);
  }

  async #finishVideo(): Promise<void> {
    const [id, video] = this.#one([...this.memory.videos].filter(([, { url }]) => url === null)) ?? ['', undefined];
    if (!video) return;
    const url = `https://files.example/${id}.mp4`;
    const job = await this.#write(() => this.#service(video.userId).finishVideo(id, url, 9_000));
    video.url = url;
    this.#expect('finished video', [job?.status, urlOf(job)], ['completed', url]);
  }

  async #discardVideo(): Promise<void> {
    const [id, video] = this.#one(this.memory.videos) ?? ['', undefined];
    if (!video) return;
    const discarded = await this.#write(() => this.#service(video.userId).discardVideo(id));
    this.memory.videos.delete(id);
    this.memory.discarded.add(id);
    this.#expect('discarded', discarded, true);
  }
}
