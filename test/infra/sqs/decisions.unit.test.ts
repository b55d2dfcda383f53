import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sqsLimits } from '../../../infra/contract.ts';
import { backoffMs, pause } from '../../../infra/sqs/backoff.ts';
import { packBatches } from '../../../infra/sqs/batches.ts';
import { regionOf } from '../../../infra/sqs/client.ts';
import { entryRemedy, requestRemedy } from '../../../infra/sqs/remedy.ts';
import { returnAfterSeconds } from '../../../infra/sqs/return.ts';

const message = (deduplicationId: string, bytes = 1) => ({ deduplicationId, group: '0', body: 'ä'.repeat(bytes / 2) });

describe('batches', () => {
  test('hold what SQS takes, everything once, in order, no deduplication id twice', () => {
    const anyMessage = fc.record({
      deduplicationId: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n'),
      group: fc.constantFrom('0', '1'),
      body: fc.nat(400_000).map((bytes) => 'ä'.repeat(bytes / 2)),
    });
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 60 }), (messages) => {
        const batches = packBatches(messages);
        expect(batches.flat()).toEqual(messages);
        for (const batch of batches) {
          expect(batch.length).toBeGreaterThan(0);
          expect(batch.length).toBeLessThanOrEqual(sqsLimits.batchEntries);
          const bytes = batch.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0);
          expect(bytes).toBeLessThanOrEqual(sqsLimits.batchBytes);
          expect(new Set(batch.map(({ deduplicationId }) => deduplicationId)).size).toBe(batch.length);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('are as few as they can be', () => {
    expect(packBatches(Array.from({ length: 25 }, (_, n) => message(String(n)))).map((batch) => batch.length)).toEqual([
      10, 10, 5,
    ]);
  });
});

describe('what a refusal asks for', () => {
  test.each([
    [{ Code: 'InternalError', SenderFault: false }, 'retry'],
    [{ Code: 'ServiceUnavailable', SenderFault: false }, 'retry'],
    [{ Code: 'KMS.ThrottlingException', SenderFault: true }, 'retry'],
    [{ Code: 'InvalidParameterValue', SenderFault: true }, 'stop'],
    [{}, 'retry'],
  ] as const)('entry %j: %s', (fault, remedy) => {
    expect(entryRemedy(fault)).toBe(remedy);
  });

  const failed = (name: string, httpStatusCode?: number) =>
    Object.assign(new Error(name), { name, ...(httpStatusCode !== undefined && { $metadata: { httpStatusCode } }) });
  test.each([
    [failed('QueueDoesNotExist', 400), 'stop'],
    [failed('AccessDenied', 403), 'stop'],
    [failed('CredentialsProviderError'), 'stop'],
    [failed('RequestThrottled', 403), 'retry'],
    [failed('ExpiredTokenException', 403), 'retry'],
    [failed('InternalFailure', 500), 'retry'],
    [failed('TimeoutError'), 'retry'],
    [Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), 'retry'],
  ] as const)('request %s: %s', (error, remedy) => {
    expect(requestRemedy(error, false)).toBe(remedy);
  });

  test('who hands out the credentials may be away for a while; without any at the start there are none', () => {
    const error = failed('CredentialsProviderError');
    expect([requestRemedy(error, false), requestRemedy(error, true)]).toEqual(['stop', 'retry']);
    expect(requestRemedy(failed('AccessDenied', 403), true)).toBe('stop');
  });
});

describe('waiting', () => {
  test('doubles up to five seconds', () => {
    expect([1, 2, 3, 20].map((attempt) => backoffMs(attempt, 1))).toEqual([50, 100, 200, 5000]);
    expect(backoffMs(5, 0)).toBe(0);
  });

  test('ends at once when aborted, with the reason', async () => {
    const never = { pauseMs: () => new Promise<void>(() => {}) };
    const stop = new AbortController();
    const waiting = pause(never, 1e9, stop.signal);
    stop.abort(new Error('asked to stop'));
    await expect(waiting).rejects.toThrow('asked to stop');
    await expect(pause(never, 1e9, stop.signal)).rejects.toThrow('asked to stop');
  });

  test('a message comes back after 1 s, then later and later, at most 60 s', () => {
    expect([1, 2, 3, 7, 8, 1000].map(returnAfterSeconds)).toEqual([1, 2, 4, 60, 60, 60]);
  });
});

test.each([
  ['https://sqs.eu-west-1.amazonaws.com/123456789012/lockstep.fifo', 'eu-west-1'],
  ['https://sqs.cn-north-1.amazonaws.com.cn/123456789012/lockstep.fifo', 'cn-north-1'],
  ['http://127.0.0.1:4566/000000000000/lockstep.fifo', 'us-east-1'],
  ['https://queue.internal.example/1/lockstep.fifo', undefined],
  ['nonsense', undefined],
])('%s is in %s', (url, region) => {
  expect(regionOf(url)).toBe(region);
});
