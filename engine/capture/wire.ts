import type { Lsn } from '../lsn.ts';

/** What the server sends within a stream: https://www.postgresql.org/docs/current/protocol-replication.html */
export type Frame =
  | { readonly kind: 'data'; readonly payload: Buffer }
  /** Everything that committed below `walEnd` has been sent (or concerns no published table). */
  | { readonly kind: 'keepalive'; readonly walEnd: Lsn; readonly replyRequested: boolean };

const dataTag = 0x77; // w
const keepaliveTag = 0x6b; // k
/** Tag, start and end in the WAL, clock. */
const dataHeaderBytes = 25;

/** @throws RangeError for a tag that the protocol does not have. */
export function readFrame(chunk: Buffer): Frame {
  if (chunk[0] === dataTag) return { kind: 'data', payload: chunk.subarray(dataHeaderBytes) };
  if (chunk[0] === keepaliveTag)
    return { kind: 'keepalive', walEnd: chunk.readBigUInt64BE(1), replyRequested: chunk[17] === 1 };
  throw new RangeError(`a replication stream has no message of tag ${chunk[0]}`);
}

const unixToPostgresEpochMs = 946_684_800_000;

/**
 * A standby status update. Written, flushed and applied are one position: the server sends a keepalive whenever it
 * waits for WAL while both written and flushed are behind, and those keepalives are how an idle slot moves on.
 */
export function statusUpdate(confirmed: Lsn, nowMs: number, requestReply: boolean): Buffer {
  const update = Buffer.alloc(34);
  update[0] = 0x72; // r
  update.writeBigUInt64BE(confirmed, 1);
  update.writeBigUInt64BE(confirmed, 9);
  update.writeBigUInt64BE(confirmed, 17);
  update.writeBigInt64BE(BigInt(nowMs - unixToPostgresEpochMs) * 1000n, 25);
  update[33] = requestReply ? 1 : 0;
  return update;
}
