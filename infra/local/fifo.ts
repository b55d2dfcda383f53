/** What is changed of a queue of fauxqs 2.4.1; see its sqsStore.js. */
export interface FifoQueue {
  readonly fifoLockedGroups: Map<string, number>;
  readonly fifoMessages: Map<string, { readonly sequenceNumber?: string }[]>;
  readonly inflightMessages: Map<string, { readonly message: { readonly messageGroupId?: string } }>;
  readonly pollWaiters: { readonly resolve: () => void; readonly timer: NodeJS.Timeout }[];
  dequeueFifo(most: number, ...rest: unknown[]): { readonly ReceiptHandle: string }[];
  hasAvailableFifoMessages(): boolean;
  notifyWaiters(): void;
}

/** As many as one receive takes, and therefore as many as can be given back to one group at once. */
const mostInHand = 10;

/**
 * Makes a queue deliver as SQS does where the emulator does not: a receive takes as many messages of one group as it can
 * (the emulator's takes one of each), and one that waits comes back when there is something for it, or when its time is
 * over (the emulator's all come back at each message that arrives, all but one of them empty).
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html
 */
export function deliverAsSqs(queue: FifoQueue): void {
  const takeOne = queue.dequeueFifo.bind(queue);
  let waking = false;
  const wakeNext = () => {
    waking = false;
    if (queue.pollWaiters.length === 0 || !queue.hasAvailableFifoMessages()) return;
    const waiter = queue.pollWaiters.shift();
    clearTimeout(waiter?.timer);
    // It takes its messages before the next turn of the event loop.
    waiter?.resolve();
    wakeSoon();
  };
  const wakeSoon = () => {
    if (waking || queue.pollWaiters.length === 0) return;
    waking = true;
    setImmediate(wakeNext);
  };
  Object.assign(queue, {
    notifyWaiters: wakeSoon,
    dequeueFifo(most: number, ...rest: unknown[]) {
      for (const group of queue.fifoMessages.values()) putInOrder(group);
      const taken: { readonly ReceiptHandle: string }[] = [];
      const held = new Map<string, number>();
      while (taken.length < most) {
        const [next] = takeOne(1, ...rest);
        if (!next) break;
        taken.push(next);
        const group = queue.inflightMessages.get(next.ReceiptHandle)?.message.messageGroupId ?? '';
        held.set(group, (held.get(group) ?? 0) + 1);
        // Unlocked until this receive has what it takes, so that it can go on with the same group.
        queue.fifoLockedGroups.delete(group);
      }
      for (const [group, count] of held) queue.fifoLockedGroups.set(group, count);
      return taken;
    },
  });
}

/** Several messages of one group that are given back arrive in any order at its head. */
function putInOrder(group: { readonly sequenceNumber?: string }[]): void {
  const number = (index: number) => group[index]?.sequenceNumber ?? '';
  for (let index = 1; index <= Math.min(mostInHand, group.length - 1); index++) {
    if (number(index - 1) <= number(index)) continue;
    group.sort((a, b) => ((a.sequenceNumber ?? '') < (b.sequenceNumber ?? '') ? -1 : 1));
    return;
  }
}
