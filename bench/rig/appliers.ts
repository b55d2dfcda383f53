import type { Applier } from '../../engine/apply/applier.ts';
import type { Parcel } from '../../engine/capture/round.ts';
import { decode } from '../../engine/message/codec.ts';
import { apply } from '../../infra/contract.ts';
import { migration } from '../../sql/migration.ts';

/**
 * Hands messages to an applier as a FIFO queue does, without the queue: batches of at most ten, of groups that nobody has
 * in hand, in order within a group; `concurrency` batches at once. Resolves when all are applied.
 */
export async function applyAll(applier: Applier, parcels: readonly Parcel[], concurrency: number): Promise<void> {
  const groups = Map.groupBy(parcels, ({ message }) => message.group);
  const atOnce = Math.max(1, Math.min(apply.batchSize, Math.floor(groups.size / concurrency)));
  const locked = new Set<string>();
  const worker = async () => {
    for (let batch = take(groups, locked, atOnce); batch.length > 0; batch = take(groups, locked, atOnce)) {
      const messages = batch.flatMap(({ message }) => decode(message.body, migration).message ?? []);
      const outcomes = await applier.apply(messages, { deadlineMs: Date.now() + 600_000 });
      const failed = outcomes.find(({ kind }) => kind !== 'done');
      if (failed) throw new Error(`a message was not applied: ${JSON.stringify(failed)}`);
      for (const { message } of batch) locked.delete(message.group);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}

/** The first message of each of the first groups that nobody has in hand. */
function take(groups: Map<string, Parcel[]>, locked: Set<string>, most: number): Parcel[] {
  const batch: Parcel[] = [];
  for (const [group, waiting] of groups) {
    if (batch.length === most) break;
    const next = locked.has(group) ? undefined : waiting.shift();
    if (!next) continue;
    if (waiting.length === 0) groups.delete(group);
    locked.add(group);
    batch.push(next);
  }
  return batch;
}
