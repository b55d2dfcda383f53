import pg from 'pg';
import { LockstepError } from '../errors.ts';
import { quote } from '../identifiers.ts';
import { formatLsn, type Lsn } from '../lsn.ts';
import { sqlState } from '../sqlstate.ts';
import type { ReplicationConnection } from './connection.ts';
import { readFrame, statusUpdate } from './wire.ts';

export interface StreamReader {
  /** One message of pgoutput. False: enough for now, pause until `resume` is called. */
  onData(payload: Buffer): boolean;
  /** Everything that committed below `walEnd` has been handed over (unless a transaction is being read right now). */
  onKeepalive(walEnd: Lsn): void;
}

export interface StreamOptions {
  readonly slotName: string;
  readonly publicationName: string;
  readonly reader: StreamReader;
  /** Called once, when the stream breaks; not when it is closed. */
  readonly onFailure: (error: Error) => void;
  /** At most this long between two status updates; less when the server is less patient. */
  readonly statusEveryMs: number;
  /** A server that has been asked for a sign of life and has sent nothing for this long is gone. */
  readonly stallTimeoutMs: number;
}

/**
 * The stream of a slot. It confirms what it is told to confirm and nothing else: the position is never past what the
 * caller has made durable, and never goes back.
 */
export class ReplicationStream {
  readonly #connection: ReplicationConnection;
  readonly #options: StreamOptions;
  #confirmed: Lsn = 0n;
  #heardAtMs = 0;
  #tickedAtMs = 0;
  #paused = false;
  #open = false;
  #status: NodeJS.Timeout | undefined;
  #ended: Promise<void> = Promise.resolve();

  private constructor(connection: ReplicationConnection, options: StreamOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /**
   * Takes the slot and begins to read where it was last confirmed.
   *
   * @throws LockstepError LS_PUBLICATION_MISSING, LS_REPLICATION_PRIVILEGE; the server's error 55006 when the slot is in use.
   */
  static async start(connection: ReplicationConnection, options: StreamOptions): Promise<ReplicationStream> {
    const stream = new ReplicationStream(connection, options);
    await stream.#begin();
    return stream;
  }

  get confirmed(): Lsn {
    return this.#confirmed;
  }

  async #begin(): Promise<void> {
    const { client, wire, walSenderTimeoutMs } = this.#connection;
    const { slotName, publicationName, statusEveryMs } = this.#options;
    wire.on('copyData', ({ chunk }) => this.#receive(chunk));
    client.on('notice', (notice) => this.#notice(notice));
    const started = new Promise<void>((resolve) => {
      wire.once('replicationStart', () => {
        this.#open = true;
        this.#heardAtMs = Date.now();
        resolve();
      });
    });
    // A list of names, each an identifier, inside of a literal.
    const publications = pg.escapeLiteral(quote(publicationName));
    const running = this.#connection.command(
      `START_REPLICATION SLOT ${quote(slotName)} LOGICAL 0/0 (proto_version '1', publication_names ${publications}, messages 'true')`,
    );
    // It ends with the stream: at the latest when close() has said so, otherwise by an error or a server that shuts down.
    this.#ended = running.then(
      () => this.#fail(new LockstepError('LS_CONNECTION_LOST', `The server has ended the stream of slot ${slotName}.`)),
      (error: unknown) => this.#fail(streamError(slotName, publicationName, error)),
    );
    await Promise.race([started, running]);
    const everyMs =
      walSenderTimeoutMs > 0 ? Math.min(statusEveryMs, Math.floor(walSenderTimeoutMs / 3)) : statusEveryMs;
    this.#tickedAtMs = Date.now();
    this.#status = setInterval(() => this.#tick(everyMs), everyMs);
  }

  /** The slot's position as it was taken; confirming begins there. */
  resumeFrom(confirmed: Lsn): void {
    this.#confirmed = confirmed;
    this.#send(false);
  }

  /**
   * Lets the slot go on to `lsn`: what committed below it will never be sent again.
   *
   * @throws LockstepError LS_POSITION_BACKWARDS when asked to go back.
   */
  confirm(lsn: Lsn): void {
    if (lsn < this.#confirmed) {
      throw new LockstepError(
        'LS_POSITION_BACKWARDS',
        `Slot ${this.#options.slotName} is confirmed to ${formatLsn(this.#confirmed)} and cannot go back to ${formatLsn(lsn)}.`,
      );
    }
    this.#confirmed = lsn;
    this.#send(false);
  }

  /** Stops reading from the socket; status updates go on, so the server keeps the connection. */
  #pause(): void {
    if (this.#paused || !this.#open) return;
    this.#paused = true;
    this.#connection.wire.stream.pause();
  }

  /** Reads on after a pause. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#heardAtMs = Date.now();
    this.#connection.wire.stream.resume();
  }

  /** Tells the server the last confirmed position and gives the slot back. */
  async close(): Promise<void> {
    const wasOpen = this.#open;
    this.#open = false;
    clearInterval(this.#status);
    const { wire } = this.#connection;
    if (wasOpen) {
      wire.sendCopyFromChunk(statusUpdate(this.#confirmed, Date.now(), false));
      wire.endCopyFrom();
    }
    // What is still on its way is read and thrown away, or the end would never be reached.
    this.#paused = false;
    wire.stream.resume();
    const deadline = setTimeout(() => wire.stream.destroy(), closeWithinMs);
    await this.#ended;
    clearTimeout(deadline);
    await this.#connection.close();
  }

  #receive(chunk: Buffer): void {
    if (!this.#open) return;
    this.#heardAtMs = Date.now();
    try {
      const frame = readFrame(chunk);
      if (frame.kind === 'data') {
        if (!this.#options.reader.onData(frame.payload)) this.#pause();
      } else {
        this.#options.reader.onKeepalive(frame.walEnd);
        if (frame.replyRequested) this.#send(false);
      }
    } catch (error) {
      this.#fail(error instanceof LockstepError ? error : unreadable(this.#options.slotName, error));
    }
  }

  // From 18 on a publication that did not exist yet (or no more) at this place in the WAL is skipped with a warning only.
  #notice(notice: { readonly code?: string | undefined }): void {
    if (notice.code === '55000') this.#fail(streamError(this.#options.slotName, this.#options.publicationName, notice));
  }

  #tick(everyMs: number): void {
    const nowMs = Date.now();
    // This process has not run for a while (frozen, or busy): what the server has sent meanwhile is still to be read.
    if (nowMs - this.#tickedAtMs > 2 * everyMs) this.#heardAtMs = nowMs;
    this.#tickedAtMs = nowMs;
    if (!this.#paused && nowMs - this.#heardAtMs > this.#options.stallTimeoutMs) {
      this.#fail(
        new LockstepError(
          'LS_CONNECTION_LOST',
          `The server has sent nothing on slot ${this.#options.slotName} for ${this.#options.stallTimeoutMs} ms.`,
        ),
      );
      return;
    }
    // Asks for an answer: a connection that is silently gone shows by none.
    this.#send(true);
  }

  #send(requestReply: boolean): void {
    if (this.#open) this.#connection.wire.sendCopyFromChunk(statusUpdate(this.#confirmed, Date.now(), requestReply));
  }

  #fail(error: Error): void {
    if (!this.#open) return;
    this.#open = false;
    clearInterval(this.#status);
    this.#options.onFailure(error);
  }
}

const closeWithinMs = 2_000;

function unreadable(slotName: string, cause: unknown): LockstepError {
  return new LockstepError(
    'LS_STREAM_UNREADABLE',
    `The stream of slot ${slotName} holds something that cannot be read.`,
    { cause },
  );
}

function streamError(slotName: string, publicationName: string, cause: unknown): Error {
  if (cause instanceof LockstepError) return cause;
  const state = cause instanceof Error ? sqlState(cause) : (cause as { code?: string }).code;
  if (state === '42704' || (state === '55000' && !(cause instanceof Error))) {
    return new LockstepError(
      'LS_PUBLICATION_GAP',
      `Publication ${publicationName} did not exist at a place in the WAL that slot ${slotName} has to send.`,
      { cause },
    );
  }
  return new LockstepError(
    'LS_CONNECTION_LOST',
    `The stream of slot ${slotName} broke (${state ?? 'connection lost'}).`,
    { cause },
  );
}
