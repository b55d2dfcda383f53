import type { SQSBatchResponse, SQSRecord } from 'aws-lambda';

/**
 * Which messages of a batch the queue may forget, by what the handler answered. As Lambda has it
 * (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html): nothing reported means all are done;
 * an identifier that is empty or not of this batch means that none is. After a failed message the rest of its group is
 * kept as well, because it would overtake.
 */
export function finishedOf(
  records: readonly SQSRecord[],
  response: SQSBatchResponse | undefined | null,
): readonly SQSRecord[] {
  const failures = response?.batchItemFailures ?? [];
  if (!Array.isArray(failures)) return [];
  const failed = new Set(failures.map((failure) => failure?.itemIdentifier));
  const known = new Set(records.map((record) => record.messageId));
  if ([...failed].some((id) => !known.has(id))) return [];
  const blockedGroups = new Set<string | undefined>();
  return records.filter((record) => {
    const group = record.attributes.MessageGroupId;
    if (failed.has(record.messageId)) blockedGroups.add(group);
    return !blockedGroups.has(group);
  });
}
