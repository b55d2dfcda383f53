import { readFile } from 'node:fs/promises';

/** Resident bytes of this process's children, by the part of the machine that each one is. Linux. */
export async function residentBytes(): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  const children = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8');
  for (const pid of children.split(' ').filter(Boolean)) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const name = /processes\/(\w+)\.ts/.exec(command)?.[1];
    const status = name && (await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''));
    const kibibytes = status && /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
    if (name && kibibytes) found[name] = Number(kibibytes) * 1024;
  }
  return found;
}
