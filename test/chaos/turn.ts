import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Machine } from './machine.ts';
import type { Turn } from './plan.ts';

/** What the operator's process says last. */
export interface OperatorAnswer {
  readonly done: boolean;
  /** How long writers waited; absent when a try before has done it. */
  readonly pauseMs?: number;
  /** Why not, in fixed words. */
  readonly why?: readonly string[];
  readonly more?: readonly string[];
}

/** How a change of the direction went. */
export interface Turned extends Turn {
  readonly done: boolean;
  readonly tries: number;
  /** How many tries ended with each word. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly pauseMs?: number;
  /** What the last try has said, when it was not done. */
  readonly last?: string;
}

const pauseBetweenTriesMs = 300;

/** Changes the direction as an operator does who tries until it is done, or until `signal` aborts. */
export async function turn(machine: Machine, planned: Turn, signal: AbortSignal): Promise<Turned> {
  const refusals: Record<string, number> = {};
  let last: string | undefined;
  for (let tries = 1; ; tries += 1) {
    const answer = await attempt(machine, planned, tries === 1 ? planned.killedAt : undefined, signal);
    for (const word of answer.done ? [] : (answer.why ?? [])) refusals[word] = (refusals[word] ?? 0) + 1;
    const { pauseMs } = answer;
    if (answer.done) return { ...planned, done: true, tries, refusals, ...(pauseMs !== undefined && { pauseMs }) };
    last = JSON.stringify(answer);
    if (signal.aborted) return { ...planned, done: false, tries, refusals, last };
    await delay(pauseBetweenTriesMs);
  }
}

async function attempt(
  { operatorEnv, printed }: Machine,
  { change }: Turn,
  killedAt: string | undefined,
  signal: AbortSignal,
): Promise<OperatorAnswer> {
  const path = fileURLToPath(new URL('parts/operator.ts', import.meta.url));
  const child = spawn(process.execPath, [path, change, ...(killedAt ? [killedAt] : [])], {
    env: operatorEnv,
    // Closed when this process is gone: the operator ends then.
    stdio: ['pipe', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  });
  // Aborted: it is killed then, and closes.
  child.on('error', () => {});
  let answer: OperatorAnswer | undefined;
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      printed.push(`operator: ${line}`);
      if (line.startsWith('{"done"')) answer = JSON.parse(line) as OperatorAnswer;
    });
  }
  const { code, killed } = await closed(child);
  return answer ?? { done: false, why: [killed === null ? `ended with ${code}` : 'killed'] };
}

function closed(child: ChildProcess): Promise<{ code: number | null; killed: NodeJS.Signals | null }> {
  return new Promise((resolve) => void child.once('close', (code, killed) => resolve({ code, killed })));
}
