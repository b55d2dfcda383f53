import { z } from 'zod';
import type { Direction, Migration } from '../migration/contract.ts';
import type { Message } from './message.ts';

const directionName = z.enum(['forward', 'reverse']);

const changes = z.strictObject({
  version: z.literal(1),
  kind: z.literal('changes'),
  id: z.uuid(),
  direction: directionName,
  shard: z.int().min(0),
  rows: z.record(z.string(), z.array(z.array(z.string().nullable())).min(1)),
});

const backfill = z.strictObject({
  version: z.literal(1),
  kind: z.literal('backfill'),
  id: z.uuid(),
  direction: directionName,
  reason: z.enum(['first start', 'truncate', 'slot lost', 'messages lost']),
  targets: z.array(z.string()).min(1),
});

const envelope = z.discriminatedUnion('kind', [changes, backfill]);

export type Decoded =
  | { readonly message: Message; readonly malformed?: never }
  /** One sentence for the dead-letter queue; holds no row data. */
  | { readonly malformed: string; readonly message?: never };

/** The body under which a message is queued: JSON, UTF-8. */
export function encode(message: Message): string {
  return queueable(JSON.stringify(message));
}

const refusedByQueue = /[\uD800-\uDFFF\uFFFE\uFFFF]/g;

/**
 * The same JSON in characters that SQS takes. It refuses U+FFFE and U+FFFF (or, as its documentation once had it, replaces
 * them, which would make another key of one); what lies beyond U+FFFF is escaped as well, because not all that speak its
 * protocol count by code points. JSON itself escapes what is below U+0020.
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
 */
export function queueable(json: string): string {
  return json.replace(refusedByQueue, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`);
}

/**
 * Reads a body and checks it against the migration: what comes out can be handled without another look. Whatever does
 * not fit (another version, an unknown source or target, a row of the wrong width, a key that is NULL) is malformed:
 * no repetition can mend it.
 */
export function decode(body: string, migration: Pick<Migration, 'forward' | 'reverse'>): Decoded {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { malformed: 'The body is not JSON.' };
  }
  const parsed = envelope.safeParse(json);
  if (!parsed.success) return { malformed: sentence(parsed.error) };
  const message = parsed.data;
  const direction = migration[message.direction];
  if (!direction) return { malformed: `This migration has no ${message.direction} direction.` };
  const flaw =
    message.kind === 'changes' ? flawInRows(message.rows, direction) : flawInTargets(message.targets, direction);
  return flaw === undefined ? { message } : { malformed: flaw };
}

function sentence(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue
    ? `At "${short(issue.path.join('.'))}": ${short(issue.message)}.`
    : 'The message does not have the agreed shape.';
}

/** Names that a message brings along may have any length. */
function short(name: string): string {
  return name.length > 200 ? `${name.slice(0, 200)}…` : name;
}

function flawInRows(
  rows: Readonly<Record<string, readonly (readonly (string | null)[])[]>>,
  direction: Direction,
): string | undefined {
  for (const [name, changed] of Object.entries(rows)) {
    const source = direction.sources.find((candidate) => candidate.name === name);
    if (!source) return `This migration has no source "${short(name)}".`;
    const width = source.key.length + source.routing.length;
    for (const row of changed) {
      if (row.length !== width) return `A row of source "${name}" has ${row.length} values instead of ${width}.`;
      if (row.slice(0, source.key.length).includes(null)) return `A row of source "${name}" has no key.`;
    }
  }
  return undefined;
}

function flawInTargets(targets: readonly string[], direction: Direction): string | undefined {
  const unknown = targets.find((name) => !direction.targets.some((target) => target.name === name));
  return unknown === undefined ? undefined : `This migration has no target "${short(unknown)}".`;
}
