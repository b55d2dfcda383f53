import type { DatabaseSync } from 'node:sqlite';
import { type BuildAppOptions, buildApp } from 'fauxqs';
import { deliverAsSqs, type FifoQueue } from './fifo.ts';

type Stores = NonNullable<BuildAppOptions['stores']>;
type Queue = ReturnType<Stores['sqsStore']['createQueue']>;

/** What the emulator keeps its queues in, when it keeps them; see fauxqs's persistence.js. */
interface Persistence {
  readonly db: DatabaseSync;
  load(sqs: Stores['sqsStore'], sns: Stores['snsStore'], s3: Stores['s3Store']): void;
  close(): void;
}

export interface Emulator {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * The SQS emulator on 127.0.0.1, in this process. Composed from fauxqs's parts, because its own `startFauxqs` listens
 * on every interface of the machine. With a directory, messages survive a kill of this process.
 * Throws what listening throws (EADDRINUSE).
 */
export async function startEmulator(port: number, dataDirectory?: string): Promise<Emulator> {
  const stores: Stores = {
    sqsStore: await construct('./sqs/sqsStore.js', 'SqsStore'),
    snsStore: await construct('./sns/snsStore.js', 'SnsStore'),
    s3Store: await construct('./s3/s3Store.js', 'S3Store'),
  };
  const persistence = dataDirectory === undefined ? undefined : await persist(stores, dataDirectory);
  const { sqsStore } = stores;
  for (const queue of sqsStore.allQueues()) faithful(queue);
  const create = sqsStore.createQueue.bind(sqsStore);
  Object.assign(sqsStore, {
    createQueue: (...parameters: Parameters<typeof create>) => faithful(create(...parameters)),
  });
  const app = buildApp({ logger: false, stores });
  if (persistence) app.addHook('onClose', () => persistence.close());
  try {
    const address = await app.listen({ port, host: '127.0.0.1' });
    return { port: Number(new URL(address).port), stop: () => app.close() };
  } catch (error) {
    await app.close();
    throw error;
  }
}

function faithful(queue: Queue): Queue {
  // Private parts, which its types hide.
  if (queue.isFifo()) deliverAsSqs(queue as unknown as FifoQueue);
  return queue;
}

async function construct<T>(file: string, name: string, ...parameters: unknown[]): Promise<T> {
  const module = await import(new URL(file, import.meta.resolve('fauxqs')).href);
  return new module[name](...parameters);
}

async function persist(stores: Stores, directory: string): Promise<Persistence> {
  const persistence = await construct<Persistence>('./persistence.js', 'PersistenceManager', directory);
  // In WAL mode this survives a kill of the process; only a crash of the machine needs the flush of each commit.
  persistence.db.exec('PRAGMA synchronous = NORMAL');
  // fauxqs 2.4.1 sets the receive count to NULL here, which its own table refuses: a visibility timeout of 0 would fail.
  const makeReady = persistence.db.prepare(
    'UPDATE sqs_messages SET receipt_handle = NULL, visibility_deadline = NULL WHERE message_id = ?',
  );
  Object.assign(persistence, { updateMessageReady: (messageId: string) => makeReady.run(messageId) });
  persistence.load(stores.sqsStore, stores.snsStore, stores.s3Store);
  Object.assign(stores.sqsStore, { persistence });
  for (const queue of stores.sqsStore.allQueues()) {
    Object.assign(queue, { persistence });
    // Whoever had received these died with the last process: they need not wait for their visibility timeout.
    for (const receipt of [...queue.inflightMessages.keys()]) queue.changeVisibility(receipt, 0);
  }
  return persistence;
}
