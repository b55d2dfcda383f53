import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Bell } from '../../engine/capture/bell.ts';
import { publicationName, slotName } from '../../engine/capture/names.ts';
import { flawInServer } from '../../engine/capture/server.ts';
import { flawInSlot, isLost, type SlotFacts } from '../../engine/capture/slot.ts';
import { isOutage, pauseBeforeRetryMs, superviseListener } from '../../engine/capture/supervise.ts';
import { readFrame, statusUpdate } from '../../engine/capture/wire.ts';
import { LockstepError } from '../../engine/errors.ts';
import { formatLsn, parseLsn } from '../../engine/lsn.ts';
import { silent } from '../../engine/telemetry.ts';

test('a slot is named after its direction and database, within the rules of PostgreSQL', () => {
  expect(slotName('forward', 'shop_1')).toBe('lockstep_forward_shop_1');
  expect(publicationName('reverse')).toBe('lockstep_reverse');
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 80 }),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 80 }),
      (a, b) => {
        expect(slotName('forward', a)).toMatch(/^[a-z0-9_]{1,63}$/);
        if (a !== b) expect(slotName('forward', a)).not.toBe(slotName('forward', b));
        expect(slotName('forward', a)).not.toBe(slotName('reverse', a));
      },
    ),
  );
  expect(slotName('forward', 'Shop')).not.toBe(slotName('forward', 'shop'));
  const long = 'd'.repeat(63);
  expect(slotName('forward', `${long}a`)).not.toBe(slotName('forward', `${long}b`));
});

test('positions are ordered as numbers, padded or not', () => {
  expect(parseLsn('1/28')).toBeGreaterThan(parseLsn('0/FFFFFFF8'));
  expect(parseLsn('00000001/00000028')).toBe(parseLsn('1/28'));
  const lsn = fc.bigInt(0n, 2n ** 64n - 1n);
  fc.assert(
    fc.property(lsn, (position) => {
      expect(parseLsn(formatLsn(position))).toBe(position);
    }),
  );
});

test('a status update says one position three times, in the clock of PostgreSQL', () => {
  const update = statusUpdate(0x1_0000_0028n, Date.UTC(2000, 0, 1, 0, 0, 1), true);
  expect(update.toString('hex')).toBe(`72${'0000000100000028'.repeat(3)}00000000000f424001`);
});

test('frames', () => {
  const data = Buffer.concat([Buffer.from('w'), Buffer.alloc(24), Buffer.from('payload')]);
  expect(readFrame(data)).toEqual({ kind: 'data', payload: Buffer.from('payload') });
  const keepalive = Buffer.alloc(18);
  keepalive.write('k');
  keepalive.writeBigUInt64BE(77n, 1);
  expect(readFrame(keepalive)).toEqual({ kind: 'keepalive', walEnd: 77n, replyRequested: false });
  keepalive[17] = 1;
  expect(readFrame(keepalive)).toMatchObject({ replyRequested: true });
  expect(() => readFrame(Buffer.from('x'))).toThrow(RangeError);
});

test('servers that cannot be captured from', () => {
  const server = { versionNum: 180_000, walLevel: 'logical', inRecovery: false, database: 'd' };
  expect(flawInServer(server)).toBeUndefined();
  expect(flawInServer({ ...server, versionNum: 150_000 })).toBeUndefined();
  expect(flawInServer({ ...server, versionNum: 140_099 })?.code).toBe('LS_SERVER_VERSION');
  expect(flawInServer({ ...server, walLevel: 'replica' })?.code).toBe('LS_WAL_LEVEL');
  expect(flawInServer({ ...server, inRecovery: true })?.code).toBe('LS_READ_REPLICA');
});

test('slots that cannot be streamed from', () => {
  const slot: SlotFacts = {
    plugin: 'pgoutput',
    slot_type: 'logical',
    database: 'd',
    temporary: false,
    active: false,
    active_pid: null,
    confirmed_flush_lsn: '0/1',
    wal_status: 'reserved',
  };
  const flaw = (changes: Partial<SlotFacts>) => flawInSlot('s', 'd', { ...slot, ...changes })?.code;
  expect(flaw({})).toBeUndefined();
  expect(flaw({ wal_status: 'unreserved', invalidation_reason: null, conflicting: false })).toBeUndefined();
  expect(isLost({ ...slot, wal_status: 'unreserved', invalidation_reason: null, conflicting: false })).toBe(false);
  expect(isLost({ ...slot, wal_status: 'lost' })).toBe(true);
  expect(isLost({ ...slot, conflicting: true })).toBe(true);
  expect(isLost({ ...slot, invalidation_reason: 'idle_timeout' })).toBe(true);
  expect(flaw({ database: 'e' })).toBe('LS_SLOT_FOREIGN');
  expect(flaw({ slot_type: 'physical', plugin: null, database: null })).toBe('LS_SLOT_FOREIGN');
  expect(flaw({ temporary: true })).toBe('LS_SLOT_FOREIGN');
});

test('a bell rung while nobody waits is heard once', async () => {
  const bell = new Bell();
  bell.ring();
  bell.ring();
  await bell.heard();
  let heard = false;
  const waiting = bell.heard().then(() => {
    heard = true;
  });
  await Promise.resolve();
  expect(heard).toBe(false);
  bell.ring();
  await waiting;
});

const serverError = (code: string) => Object.assign(new Error(code), { code, severity: 'ERROR' });

test('what is an outage is decided by codes', () => {
  for (const error of [
    serverError('57P01'),
    serverError('28P01'),
    Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }),
  ]) {
    expect(isOutage(error)).toBe(true);
  }
  expect(isOutage(new LockstepError('LS_LISTENER_SUPERSEDED', ''))).toBe(true);
  for (const error of [serverError('42501'), new Error('bug'), new LockstepError('LS_SLOT_FOREIGN', '')])
    expect(isOutage(error)).toBe(false);
});

test('pauses grow and stay bounded', () => {
  expect([1, 2, 3, 7, 50].map(pauseBeforeRetryMs)).toEqual([250, 500, 1_000, 10_000, 10_000]);
});

test('what fails before the first change could flow is a wrong setting, not an outage', async () => {
  let runs = 0;
  const supervised = superviseListener({
    signal: new AbortController().signal,
    telemetry: silent,
    run: async () => {
      runs += 1;
      throw serverError('28P01');
    },
  });
  await expect(supervised).rejects.toMatchObject({ code: '28P01' });
  expect(runs).toBe(1);
});
