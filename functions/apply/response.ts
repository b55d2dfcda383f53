import type { SQSRecord } from 'aws-lambda';

/**
 * The records to report as failed: those that were not finished. In a FIFO queue what comes after a failed message of its
 * group must fail too, or it would overtake it: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
 */
export function unfinishedOf(records: readonly SQSRecord[], finished: (record: SQSRecord) => boolean): SQSRecord[] {
  const stopped = new Set<string | undefined>();
  return records.filter((record) => {
    const group = record.attributes.MessageGroupId;
    if (!finished(record)) stopped.add(group);
    return stopped.has(group);
  });
}
