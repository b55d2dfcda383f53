import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decode, encode } from '../../engine/message/codec.ts';
import type { ChangesMessage } from '../../engine/message/message.ts';
import { migrationOf, photos } from './support.ts';

const migration = migrationOf(photos);
const privateValue = 'private-value-of-a-row';
const message: ChangesMessage = {
  version: 1,
  kind: 'changes',
  id: '5f4f2a0e-8d39-4a4c-9df3-3a1f5d9a7c10',
  direction: 'forward',
  shard: 0,
  rows: { photos: [['1', privateValue]] },
};

/** Either a message or a sentence; never both, never an error, never a value of a row. */
function expectAnAnswer(body: string): void {
  const { message: read, malformed } = decode(body, migration);
  expect((read === undefined) !== (malformed === undefined)).toBe(true);
  if (malformed !== undefined) expect(malformed).not.toContain(privateValue);
}

test('whatever a body holds, it is read or refused with a reason', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), expectAnAnswer), { numRuns: 500 });
  fc.assert(fc.property(fc.json(), expectAnAnswer), { numRuns: 500 });
});

test('a message of which any part is another value is read or refused with a reason', () => {
  const part = fc.constantFrom(
    ...(Object.keys(message) as (keyof ChangesMessage)[]),
    '__proto__',
    'constructor',
    'more',
  );
  fc.assert(
    fc.property(part, fc.jsonValue(), (name, value) => {
      expectAnAnswer(encode(message).replace(/}$/, `,${JSON.stringify(name)}:${JSON.stringify(value)}}`));
    }),
    { numRuns: 500 },
  );
  const cell = fc.oneof(fc.string(), fc.constant(null), fc.jsonValue(), fc.constant(privateValue));
  const sources = fc.constantFrom('photos', 'no such table', '', '__proto__', 'toString');
  fc.assert(
    fc.property(sources, fc.array(fc.array(cell)), (source, rows) => {
      expectAnAnswer(JSON.stringify({ ...message, rows: { [source]: rows } }));
    }),
    { numRuns: 500 },
  );
});

test('a body that is cut off anywhere is refused with a reason', () => {
  const body = encode(message);
  for (let length = 0; length < body.length; length++) {
    expect(decode(body.slice(0, length), migration).malformed).toBeDefined();
  }
});
