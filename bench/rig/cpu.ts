import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second of /proc, which Linux fixes at 100 for programs. */
const tickMs = 10;

function ticks(pid: string): { parent: string; own: number; reaped: number } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    // It has ended since the directory was read.
    return undefined;
  }
  // The name, in parentheses, may hold spaces. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const at = (index: number) => Number(fields[index - 3]);
  return { parent: fields[1] ?? '', own: at(14) + at(15), reaped: at(16) + at(17) };
}

/**
 * Processor time that a server has used so far, all of its processes taken together (those that have ended, too), in
 * milliseconds. Unlike the time on the wall it hardly depends on what else the machine does.
 */
export function serverCpuMs(postmasterPid: number): number {
  const postmaster = ticks(String(postmasterPid));
  if (!postmaster) return Number.NaN;
  let sum = postmaster.own + postmaster.reaped;
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const process = ticks(pid);
    if (process?.parent === String(postmasterPid)) sum += process.own;
  }
  return sum * tickMs;
}

/** Processor time of this process, in milliseconds. */
export function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
