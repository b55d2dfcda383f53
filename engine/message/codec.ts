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
  return JSON.stringify(message);
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
  return issue ? `At "${issue.path.join('.')}": ${issue.message}.` : 'The message does not have the agreed shape.';
}

function flawInRows(
  rows: Readonly<Record<string, readonly (readonly (string | null)[])[]>>,
  direction: Direction,
): string | undefined {
  for (const [name, changed] of Object.entries(rows)) {
    const source = direction.sources.find((candidate) => candidate.name === name);
    if (!source) return `This migration has no source "${name}".`;
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
  return unknown === undefined ? undefined : `This migration has no target "${unknown}".`;
}
