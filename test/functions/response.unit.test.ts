import type { SQSRecord } from 'aws-lambda';
import { expect, test } from 'vitest';
import { unfinishedOf } from '../../functions/apply/response.ts';

const record = (messageId: string, MessageGroupId: string) =>
  ({ messageId, attributes: { MessageGroupId } }) as SQSRecord;
const batch = [record('a1', 'a'), record('b1', 'b'), record('a2', 'a'), record('b2', 'b'), record('a3', 'a')];
const failing = (...ids: string[]) =>
  unfinishedOf(batch, ({ messageId }) => !ids.includes(messageId)).map(({ messageId }) => messageId);

test('what comes after a failed message of its group fails with it, and no other', () => {
  expect(failing()).toEqual([]);
  expect(failing('a2')).toEqual(['a2', 'a3']);
  expect(failing('b1', 'a3')).toEqual(['b1', 'b2', 'a3']);
  expect(failing('a1', 'b2')).toEqual(['a1', 'a2', 'b2', 'a3']);
});
