import type { OutgoingMessage } from '../../engine/message/message.ts';
import { sqsLimits } from '../contract.ts';

/**
 * Packs messages, in their order, into the fewest requests that SendMessageBatch takes: 10 entries and 1 MiB each. Two of
 * one deduplication id never share a batch, since SQS would drop the second without a word.
 */
export function packBatches(messages: readonly OutgoingMessage[]): OutgoingMessage[][] {
  const batches: OutgoingMessage[][] = [];
  let batch: OutgoingMessage[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = Buffer.byteLength(message.body);
    const full = batch.length === sqsLimits.batchEntries || bytes + size > sqsLimits.batchBytes;
    if (batch.length > 0 && (full || batch.some((other) => other.deduplicationId === message.deduplicationId))) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(message);
    bytes += size;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
