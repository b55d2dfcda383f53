import { describe, expect, test } from 'vitest';
import { firstClosed } from '../../../infra/local/account.ts';
import { finishedOf } from '../../../infra/local/batch-response.ts';
import { identityOf, isAlive } from '../../../infra/local/process.ts';
import { settingsFile } from '../../../infra/local/settings.ts';

const record = (messageId: string, group: string) =>
  ({ messageId, attributes: { MessageGroupId: group } }) as Parameters<typeof finishedOf>[0][number];
const batch = [record('a1', 'a'), record('b1', 'b'), record('a2', 'a'), record('b2', 'b'), record('a3', 'a')];
const failed = (...ids: unknown[]) =>
  ({ batchItemFailures: ids.map((itemIdentifier) => ({ itemIdentifier })) }) as never;

describe('which messages of a batch are done with', () => {
  test.each([
    ['nothing reported', undefined, ['a1', 'b1', 'a2', 'b2', 'a3']],
    ['null', null, ['a1', 'b1', 'a2', 'b2', 'a3']],
    ['an empty object', {} as never, ['a1', 'b1', 'a2', 'b2', 'a3']],
    ['no failures', failed(), ['a1', 'b1', 'a2', 'b2', 'a3']],
    ['one failed: not the rest of its group', failed('a2'), ['a1', 'b1', 'b2']],
    ['both groups', failed('b1', 'a3'), ['a1', 'a2']],
    ['an empty identifier', failed('a1', ''), []],
    ['a null identifier', failed(null), []],
    ['an identifier of another batch', failed('z9'), []],
    ['not a list', { batchItemFailures: 'a1' } as never, []],
  ])('%s', (_, response, done) => {
    expect(finishedOf(batch, response).map(({ messageId }) => messageId)).toEqual(done);
  });
});

describe('what an account can reach', () => {
  const account = { name: 'postgres', uid: 101, gid: 104 };
  const directory = (mode: number, uid = 0, gid = 0) => ({ path: `/${mode.toString(8)}`, mode, uid, gid });
  test.each([
    ['open to all', directory(0o755), true],
    ["root's alone", directory(0o700), false],
    ['its own', directory(0o700, 101), true],
    ["its group's", directory(0o710, 0, 104), true],
    ['closed to its group, though open to others', directory(0o705, 0, 104), false],
    ['readable but not to be passed through', directory(0o744), false],
  ])('%s', (_, step, reachable) => {
    expect(firstClosed(account, [directory(0o755), step]) === undefined).toBe(reachable);
  });
});

test('a process is told apart from a later one with its id', () => {
  const me = identityOf(process.pid);
  expect(isAlive(me)).toBe(true);
  expect(isAlive({ ...me, startedAt: '1' })).toBe(false);
  expect(isAlive({ pid: 2 ** 22 + 1, startedAt: null })).toBe(false);
});

test('settings are quoted, and the caller has the last word', () => {
  const lines = settingsFile({ port: 5, fsync: false, work_mem: "it's", max_connections: '7' }).split('\n');
  expect(lines).toContain("work_mem = 'it''s'");
  expect(lines).toContain("max_connections = '7'");
  expect(lines).toContain('fsync = off');
  expect(lines).toContain('full_page_writes = off');
  expect(lines).toContain("listen_addresses = '127.0.0.1'");
});
