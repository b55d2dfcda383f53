import { createHash, randomUUID } from 'node:crypto';
import type { Random } from '../../engine/random.ts';
import type { Interceptor, SqsAnswer, SqsRequest } from '../support/proxy.ts';

/** What may go wrong between SQS and its clients; each is a chance from 0 to 1 for a request. */
export interface QueueFaults {
  /** SQS has done it, and the client never hears of it. */
  answersLost: number;
  /** It never got there. */
  requestsLost: number;
  throttled: number;
  /** Some entries of a batch are refused. */
  partlyRefused: number;
  /** An entry arrives a second time, under another deduplication id, as after five minutes. */
  duplicated: number;
  /** Accepted, and not delivered until this is over: a queue that is hours behind. */
  held: boolean;
  /** Held for a moment and delivered in any order, in any group. */
  shuffled: boolean;
}

export const noFaults = (): QueueFaults => ({
  answersLost: 0,
  requestsLost: 0,
  throttled: 0,
  partlyRefused: 0,
  duplicated: 0,
  held: false,
  shuffled: false,
});

interface Entry {
  readonly Id: string;
  readonly MessageBody: string;
  readonly MessageGroupId: string;
  readonly MessageDeduplicationId: string;
}

type Forward = (body: Record<string, unknown>) => Promise<SqsAnswer>;

export interface FaultyQueue {
  readonly faults: QueueFaults;
  readonly intercept: Interceptor;
  /** How often a fault was met by a request. */
  readonly met: Map<string, number>;
  /** Lets everything through that was held, in any order. */
  release(): Promise<void>;
  /** Sends some bodies of the past again. */
  replay(count: number): Promise<void>;
  /** Forgets what is held, as a purge does. */
  forget(): void;
}

/** @param send to the queue itself, past the faults. */
export function faultyQueue(
  random: Random,
  groups: readonly string[],
  send: (entries: Entry[]) => Promise<unknown>,
): FaultyQueue {
  const faults = noFaults();
  const met = new Map<string, number>();
  const held: Entry[] = [];
  const past: Entry[] = [];
  const meet = (name: string) => met.set(name, (met.get(name) ?? 0) + 1);

  const release = async () => {
    while (held.length > 0) {
      const batch = Array.from({ length: Math.min(10, held.length) }, () =>
        held.splice(random.integer(held.length), 1),
      );
      await send(batch.flat().map((entry, index) => ({ ...entry, Id: String(index) })));
    }
  };
  const again = (entry: Entry): Entry => ({ ...entry, MessageDeduplicationId: randomUUID() });

  const sendBatch = async (request: SqsRequest, forward: Forward): Promise<SqsAnswer> => {
    const entries = request.body.Entries as Entry[];
    past.push(...entries);
    past.splice(0, Math.max(0, past.length - 300));
    if (faults.held || faults.shuffled) {
      meet(faults.held ? 'held' : 'shuffled');
      held.push(...entries.map((entry) => ({ ...entry, MessageGroupId: random.pick(groups) })));
      if (!faults.held && held.length > 5 + random.integer(20)) await release();
      return { status: 200, body: { Successful: entries.map(accepted), Failed: [] } };
    }
    const answer = await partly(request, forward);
    if (random.chance(faults.duplicated)) {
      meet('duplicated');
      await send(entries.map(again));
    }
    return answer;
  };

  const partly = async (request: SqsRequest, forward: Forward): Promise<SqsAnswer> => {
    if (!random.chance(faults.partlyRefused)) return forward(request.body);
    meet('partly refused');
    const entries = request.body.Entries as Entry[];
    const taken = entries.filter(() => random.chance(0.5));
    const Failed = entries
      .filter((entry) => !taken.includes(entry))
      .map(({ Id }) => ({ Id, SenderFault: false, Code: 'InternalError' }));
    const answer =
      taken.length > 0
        ? await forward({ ...request.body, Entries: taken })
        : { status: 200, body: { Successful: [], Failed: [] } };
    return { ...answer, body: { ...answer.body, Failed: [...((answer.body.Failed as []) ?? []), ...Failed] } };
  };

  const intercept: Interceptor = async (request, forward) => {
    if (random.chance(faults.requestsLost)) {
      meet('request lost');
      throw new Error('lost on its way');
    }
    if (random.chance(faults.throttled)) {
      meet('throttled');
      return { status: 400, body: { __type: 'com.amazonaws.sqs#ThrottlingException', message: 'Rate exceeded' } };
    }
    const answer =
      request.action === 'SendMessageBatch'
        ? await sendBatch(request, forward)
        : request.action.endsWith('Batch')
          ? await partly(request, forward)
          : await forward(request.body);
    if (random.chance(faults.answersLost)) {
      meet('answer lost');
      throw new Error('lost on its way back');
    }
    return answer;
  };

  return {
    faults,
    intercept,
    met,
    release,
    async replay(count) {
      const entries = Array.from({ length: past.length > 0 ? count : 0 }, () => again(random.pick(past)));
      if (entries.length > 0) await send(entries.map((entry, index) => ({ ...entry, Id: String(index) })));
    },
    forget: () => void held.splice(0),
  };
}

/** What SQS answers for an entry; the SDK checks the digest. */
function accepted({ Id, MessageBody }: Entry) {
  return {
    Id,
    MessageId: randomUUID(),
    MD5OfMessageBody: createHash('md5').update(MessageBody).digest('hex'),
    SequenceNumber: '1',
  };
}
