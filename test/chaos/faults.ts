import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { PurgeQueueCommand, SendMessageBatchCommand, SetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { slotName } from '../../engine/capture/names.ts';
import type { DirectionName } from '../../engine/migration/contract.ts';
import { sqlState } from '../../engine/sqlstate.ts';
import { queueAttributes } from '../../infra/contract.ts';
import { takeDeadLetters } from '../support/dead-letters.ts';
import { eventually } from '../support/eventually.ts';
import { databaseName, type Machine } from './machine.ts';
import { type Fault, type FaultKind, type PartName, partNames, type wireNames } from './plan.ts';
import type { QueueFaults } from './queue-faults.ts';

type Act = (machine: Machine, fault: Fault) => Promise<void>;

const slotOf = ({ on }: Fault) => slotName(on as DirectionName, databaseName);
const ourBackends = `SELECT pid FROM pg_stat_activity WHERE usename IN ('lockstep_listener', 'lockstep_applier', 'lockstep_operator')`;

const partOf = (machine: Machine, { on }: Fault) => machine.parts[on as PartName];
const wireOf = (machine: Machine, { on }: Fault) => machine.wires[on as (typeof wireNames)[number]];

/** For as long as the fault lasts. Overlapping ones of one kind end with the first; healing ends them all. */
function queueFault(change: Partial<QueueFaults>, back: Partial<QueueFaults>): Act {
  return async ({ faulty }, { forMs }) => {
    Object.assign(faulty.faults, change);
    await delay(forMs);
    Object.assign(faulty.faults, back);
  };
}

async function backend({ pool }: Machine): Promise<number | undefined> {
  const { rows } = await pool.query<{ pid: number }>(`${ourBackends} ORDER BY random() LIMIT 1`);
  return rows[0]?.pid;
}

/** A signal to one of the server's processes, which may be gone by now. */
function send(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** What each kind of fault does. Resolves when it is over. */
export const acts: Readonly<Record<FaultKind, Act>> = {
  'part killed': async (machine, fault) => partOf(machine, fault).kill(),
  async 'part frozen'(machine, fault) {
    partOf(machine, fault).freeze();
    await delay(fault.forMs);
    partOf(machine, fault).thaw();
  },
  async 'all parts killed'({ parts }) {
    for (const name of partNames) parts[name].kill();
  },
  'server stopped at once': ({ server }, { forMs }) => server.restart('SIGQUIT', forMs),
  'server restarted': ({ server }, { forMs }) => server.restart('SIGINT', forMs),
  // The server takes a process that was killed for a crash, ends all the others and recovers.
  'backend killed': async (machine) => send(await backend(machine), 'SIGKILL'),
  async 'backend frozen'(machine, { forMs }) {
    const pid = await backend(machine);
    send(pid, 'SIGSTOP');
    await delay(forMs);
    send(pid, 'SIGCONT');
  },
  async 'backends terminated'({ pool }) {
    await pool.query(`SELECT pg_terminate_backend(pid) FROM (${ourBackends}) ours WHERE random() < 0.6`);
  },
  async 'network cut'(machine, fault) {
    wireOf(machine, fault).set('cut');
    await delay(fault.forMs);
    wireOf(machine, fault).set('fine');
  },
  async 'network stalled'(machine, fault) {
    wireOf(machine, fault).set('stalled');
    await delay(fault.forMs);
    wireOf(machine, fault).set('fine');
  },
  async 'network slow'(machine, fault) {
    wireOf(machine, fault).set({ slowMs: 20 });
    await delay(fault.forMs);
    wireOf(machine, fault).set('fine');
  },
  'answers of the queue lost': queueFault({ answersLost: 0.5 }, { answersLost: 0 }),
  'requests to the queue lost': queueFault({ requestsLost: 0.5 }, { requestsLost: 0 }),
  'queue throttles': queueFault({ throttled: 0.6 }, { throttled: 0 }),
  'batches partly refused': queueFault({ partlyRefused: 0.6 }, { partlyRefused: 0 }),
  'messages duplicated': queueFault({ duplicated: 0.5 }, { duplicated: 0 }),
  async 'messages held back'(machine, fault) {
    await queueFault({ held: true }, { held: false })(machine, fault);
    await machine.faulty.release();
  },
  async 'messages shuffled'(machine, fault) {
    await queueFault({ shuffled: true }, { shuffled: false })(machine, fault);
    await machine.faulty.release();
  },
  'old messages again': ({ faulty }) => faulty.replay(10),
  async 'malformed messages'({ queue }) {
    const bodies = ['', '{', 'null', '{"version":2}', `{"version":1,"kind":"changes","id":"${randomUUID()}"}`];
    const Entries = bodies.map((body, index) => ({
      Id: String(index),
      MessageBody: body || ' ',
      MessageGroupId: `forward-${index}`,
      MessageDeduplicationId: randomUUID(),
    }));
    await queue.sqs.send(new SendMessageBatchCommand({ QueueUrl: queue.queueUrl, Entries }));
  },
  async 'messages dead-lettered'(machine, { forMs }) {
    // Lost answers are what makes SQS count receipts of which nobody knows.
    await redriveAfter(machine, 1);
    machine.faulty.faults.answersLost = 0.5;
    await delay(forMs);
    machine.faulty.faults.answersLost = 0;
    await redriveAfter(machine);
  },
  async 'queue purged'({ queue, faulty }) {
    await queue.sqs.send(new PurgeQueueCommand({ QueueUrl: queue.queueUrl }));
    faulty.forget();
  },
  async 'slot dropped'({ pool }, fault) {
    const slot = slotOf(fault);
    // The listener takes it again at once.
    await eventually(async () => {
      await pool.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [
        slot,
      ]);
      return pool
        .query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1', [slot])
        .then(
          () => true,
          (error) => {
            if (sqlState(error) === '55006') return false;
            throw error;
          },
        );
    });
  },
  async 'slot invalidated'({ pool, parts }, fault) {
    const slot = slotOf(fault);
    for (const name of partNames) if (name.startsWith('listener')) parts[name].freeze();
    await pool.query(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`);
    await pool.query('SELECT pg_reload_conf()');
    for (let left = 8; left > 0; left--) {
      await pool.query(`SELECT pg_logical_emit_message(false, 'chaos', repeat('x', 100000)), pg_switch_wal()`);
      await pool.query('CHECKPOINT');
      const { rows } = await pool.query('SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1', [slot]);
      if (rows[0]?.wal_status === 'lost') break;
    }
    await keepWal(pool);
    for (const name of partNames) parts[name].thaw();
  },
  'password rotated': async (machine, { on = '' }) => {
    await machine.rotate(on, 200);
    await machine.pool.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [on]);
  },
};

async function keepWal(pool: Machine['pool']): Promise<void> {
  await pool.query('ALTER SYSTEM RESET max_slot_wal_keep_size');
  await pool.query('SELECT pg_reload_conf()');
}

/** After how many receipts SQS gives a message up; without a number, as in production. */
async function redriveAfter({ queue }: Machine, maxReceiveCount?: number): Promise<void> {
  const RedrivePolicy =
    queueAttributes(queue.queueArn.replace('lockstep.fifo', 'lockstep-dead.fifo')).RedrivePolicy ?? '';
  const policy = { ...JSON.parse(RedrivePolicy), ...(maxReceiveCount && { maxReceiveCount }) };
  await queue.sqs.send(
    new SetQueueAttributesCommand({
      QueueUrl: queue.queueUrl,
      Attributes: { RedrivePolicy: JSON.stringify(policy) },
    }),
  );
}

/** Ends every fault that is still on, also those whose end an error has prevented. */
export async function endFaults(machine: Machine): Promise<void> {
  const { parts, wires, faulty, pool } = machine;
  for (const name of partNames) parts[name].thaw();
  for (const wire of Object.values(wires)) wire.set('fine');
  Object.assign(faulty.faults, {
    answersLost: 0,
    requestsLost: 0,
    throttled: 0,
    partlyRefused: 0,
    duplicated: 0,
    held: false,
    shuffled: false,
  });
  await faulty.release();
  await redriveAfter(machine);
  await eventually(() => keepWal(pool).then(() => true), { timeoutMs: 30_000, intervalMs: 50 });
}

/**
 * What the operator does with the dead-letter queue (docs/runbooks/dead-letters.md): sends good messages back, and
 * deletes those that carry a reason.
 */
export async function redrive({ queue }: Machine): Promise<void> {
  for (const { Body = '', Attributes, MessageAttributes } of await takeDeadLetters(queue)) {
    if (MessageAttributes?.reason !== undefined) continue;
    const entry = {
      Id: '0',
      MessageBody: Body,
      MessageGroupId: Attributes?.MessageGroupId,
      MessageDeduplicationId: randomUUID(),
    };
    await queue.sqs.send(new SendMessageBatchCommand({ QueueUrl: queue.queueUrl, Entries: [entry] }));
  }
}
