import { readdirSync, readFileSync } from 'node:fs';
import { eventually } from './eventually.ts';

/** State, parent and so on; nothing of a process that is gone. */
function statOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  } catch {
    return [];
  }
}

/** A process and all that it has started, and that those have, from /proc; zombies are no processes any more. */
function family(ancestor: number): number[] {
  const parents = new Map<number, number>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const [state, parent] = statOf(Number(pid));
    if (state !== 'Z') parents.set(Number(pid), Number(parent));
  }
  const found = [ancestor];
  for (const pid of found) found.push(...[...parents].filter(([, parent]) => parent === pid).map(([child]) => child));
  return found;
}

/** kill -9 of a process and of everything that it has started, all at once; waits until they are gone. */
export async function killFamily(ancestor: number): Promise<void> {
  const pids = family(ancestor);
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  await eventually(() => pids.every((pid) => [undefined, 'Z'].includes(statOf(pid)[0])), { timeoutMs: 60_000 });
}
