import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';

/** A message that cannot be read, as it was received. */
export interface DeadLetter {
  /** Of SQS; the same message set aside twice is kept once. */
  readonly messageId: string;
  readonly group: string;
  readonly body: string;
  /** Why it cannot be read; becomes the message attribute `reason`, as far as SQS takes it. */
  readonly reason: string;
}

/** Why something cannot be read fits into a line; what it quotes may have any length. */
const reasonCharacters = 1_000;
/** Of a message with its attributes. Nothing of ours is a tenth of it, so nothing is lost of a message that was one. */
const messageBytes = 1024 * 1024;
const refusedByQueue = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD]/g;
const replacement = '\uFFFD';
const cutOff = ' (The body is cut off at the end: with its reason it would not fit into a message.)';

/** Text as SQS takes it: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html */
function shortened(text: string): string {
  return text.replace(refusedByQueue, replacement).slice(0, reasonCharacters);
}

/** The longest beginning of a text that has at most so many bytes. */
function beginning(text: string, bytes: number): string {
  const whole = new TextEncoder();
  const { read } = whole.encodeInto(text, new Uint8Array(bytes));
  return text.slice(0, read);
}

export interface DeadLetterOptions {
  readonly client: Pick<SQSClient, 'send'>;
  readonly deadLetterQueueUrl: string;
}

/**
 * Sets a message aside in the dead-letter queue. Resolves when that queue has it: only then may it be deleted from the
 * queue it came from. Throws what the SDK throws.
 */
export async function sendDeadLetter(
  { client, deadLetterQueueUrl }: DeadLetterOptions,
  letter: DeadLetter,
): Promise<void> {
  const reason = shortened(letter.reason);
  const attributes = Buffer.byteLength(`reason${reason}${cutOff}messageId${letter.messageId}StringString`);
  const room = messageBytes - attributes;
  const fits = Buffer.byteLength(letter.body) <= room;
  await client.send(
    new SendMessageCommand({
      QueueUrl: deadLetterQueueUrl,
      MessageBody: fits ? letter.body : beginning(letter.body, room),
      MessageGroupId: letter.group,
      MessageDeduplicationId: letter.messageId,
      MessageAttributes: {
        reason: { DataType: 'String', StringValue: fits ? reason : reason + cutOff },
        messageId: { DataType: 'String', StringValue: letter.messageId },
      },
    }),
  );
}
