import type { ClientBase } from 'pg';
import { publicationName } from '../capture/names.ts';
import { readSlot } from '../capture/slot.ts';
import type { Clock } from '../clock.ts';
import { quote } from '../identifiers.ts';
import type { DirectionName } from '../migration/contract.ts';
import { textRows } from '../text-query.ts';

/** What a completed migration no longer needs, and could not be dropped yet. */
export interface Leftover {
  readonly name: string;
  readonly reason: string;
}

const pollMs = 200;

/**
 * Drops slots, publications and the records of both streams. A slot that nobody reads keeps WAL for ever, so it must not
 * be forgotten: one that is in use for longer than `patienceMs` is left, and named.
 */
export async function retireStreams(client: ClientBase, clock: Clock, patienceMs: number): Promise<Leftover[]> {
  const leftovers: Leftover[] = [];
  const streams = await textRows<{ direction: DirectionName; slot: string }>(
    client,
    'SELECT direction, slot_name AS slot FROM lockstep.stream ORDER BY direction',
  );
  for (const { direction, slot } of streams) {
    if (!(await dropSlot(client, slot, clock, patienceMs))) {
      leftovers.push({ name: slot, reason: 'a listener is connected to it' });
      continue;
    }
    await client.query('DELETE FROM lockstep.in_flight WHERE direction = $1', [direction]);
    await client.query('DELETE FROM lockstep.stream WHERE direction = $1', [direction]);
  }
  for (const direction of ['forward', 'reverse'] as const) {
    await client.query(`DROP PUBLICATION IF EXISTS ${quote(publicationName(direction))}`);
  }
  return leftovers;
}

async function dropSlot(client: ClientBase, name: string, clock: Clock, patienceMs: number): Promise<boolean> {
  const giveUpAtMs = clock.nowMs() + patienceMs;
  for (;;) {
    const slot = await readSlot(client, name);
    if (!slot) return true;
    if (!slot.active) {
      await client.query(
        'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active',
        [name],
      );
    } else if (clock.nowMs() >= giveUpAtMs) return false;
    else await clock.pauseMs(pollMs);
  }
}
