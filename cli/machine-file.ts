import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { environment } from '../infra/contract.ts';

/** Settings of a machine that `lockstep dev` has started: environment variables by name. */
export type MachineSettings = Readonly<Record<string, string>>;

interface MachineFile {
  readonly pid: number;
  readonly startedAtMs: number;
  readonly settings: MachineSettings;
}

/** Where machines of this checkout leave their addresses; LOCKSTEP_STATE_DIR names another place. */
function stateDirectory(): string {
  return process.env.LOCKSTEP_STATE_DIR ?? fileURLToPath(new URL('../.lockstep', import.meta.url));
}

const pathOf = (pid: number) => join(stateDirectory(), `dev-${pid}.json`);

/** Tells other commands of this checkout, for this user only, where this process has its database and queue. */
export async function writeMachine(settings: MachineSettings): Promise<void> {
  const file: MachineFile = { pid: process.pid, startedAtMs: Date.now(), settings };
  await mkdir(stateDirectory(), { recursive: true });
  await writeFile(pathOf(process.pid), JSON.stringify(file), { mode: 0o600 });
}

export async function removeMachine(): Promise<void> {
  await rm(pathOf(process.pid), { force: true });
}

/**
 * When this process's settings name no database, takes those of the `lockstep dev` that was started last in this
 * checkout and still runs, so that commands in a second terminal find it.
 */
export async function adoptMachine(): Promise<void> {
  const { env } = process;
  if (env[environment.databaseUrl] !== undefined || env[environment.databaseSecretArn] !== undefined) return;
  const machines = (await readMachines()).filter(({ pid }) => isAlive(pid));
  const newest = machines.sort((a, b) => b.startedAtMs - a.startedAtMs)[0];
  if (newest) Object.assign(env, newest.settings);
}

/** One that is being written, or belongs to another user, is none. */
async function readMachines(): Promise<MachineFile[]> {
  const names = await readdir(stateDirectory()).catch(() => []);
  const read = async (name: string): Promise<MachineFile[]> => {
    try {
      return [JSON.parse(await readFile(join(stateDirectory(), name), 'utf8')) as MachineFile];
    } catch {
      return [];
    }
  };
  const files = await Promise.all(names.filter((name) => /^dev-\d+\.json$/.test(name)).map(read));
  return files.flat();
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
