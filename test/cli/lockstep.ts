import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from '../support/eventually.ts';

export const checkout = fileURLToPath(new URL('../..', import.meta.url));
export const bin = join(checkout, 'cli/bin.js');

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string>>;

/** This process's environment without what is not the test's: settings of Lockstep, what decides about colours (in CI, Node does without), and the place of machines' addresses. */
function environmentWith(added: Environment, state: string): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(LOCKSTEP_|AWS_|NODE_|VITEST|FORCE_COLOR|NO_COLOR|CI$|TF_BUILD$|TMUX$|TEAMCITY_VERSION$)/.test(name),
  );
  return { ...Object.fromEntries(inherited), LOCKSTEP_STATE_DIR: state, ...added };
}

/** Runs a command line to its end. */
export async function lockstep(args: readonly string[], env: Environment = {}): Promise<Finished> {
  return await run(process.execPath, [bin, ...args], env);
}

export async function run(
  program: string,
  args: readonly string[],
  env: Environment = {},
  cwd = checkout,
): Promise<Finished> {
  const state = mkdtempSync(join(tmpdir(), 'lockstep-state-'));
  try {
    const child = spawn(program, args, { cwd, env: environmentWith(env, state), stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    const code = await new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject));
    return { code, stdout, stderr };
  } finally {
    rmSync(state, { recursive: true });
  }
}

// biome-ignore lint/suspicious/noExplicitAny: what a command prints is what the test is about
export type Event = Record<string, any>;

export interface Running extends AsyncDisposable {
  readonly process: ChildProcess;
  /** For other commands that are to find this machine. */
  readonly state: string;
  /** The first event of this name, when it has been printed. */
  event(name: string, timeoutMs?: number): Promise<Event>;
  /** In the order in which they were printed. */
  readonly events: readonly Event[];
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The exit code, when it has ended (null: killed). */
  ended(timeoutMs?: number): Promise<number | null>;
}

/** Makes Node say that it is 20; the process that bin.js then starts is the real one. */
export const older = [
  '--import',
  "data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.11.0'})",
];

/** Starts a command that runs on, with --json unless it is to speak to people; killed at the end of the test if it still does. */
export function start(
  args: readonly string[],
  env: Environment = {},
  nodeOptions: readonly string[] = [],
  { json = true } = {},
): Running {
  const state = mkdtempSync(join(tmpdir(), 'lockstep-state-'));
  const child = spawn(process.execPath, [...nodeOptions, bin, ...args, ...(json ? ['--json'] : [])], {
    cwd: checkout,
    env: environmentWith(env, state),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const events: Event[] = [];
  let stderr = '';
  let stdout = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  if (json) createInterface({ input: child.stdout }).on('line', (line) => events.push(JSON.parse(line)));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  return {
    process: child,
    state,
    events,
    stdout: () => stdout,
    stderr: () => stderr,
    async event(name, timeoutMs = 60_000) {
      const find = () => events.find(({ event }) => event === name);
      const found = await eventually(() => find() ?? (hasEnded() ? 'ended' : undefined), { timeoutMs }).catch(
        (error) => {
          const last = events.slice(-20).map((event) => JSON.stringify(event));
          throw new Error(`No "${name}"; the last events:\n${last.join('\n')}\n${stderr}`, { cause: error });
        },
      );
      if (found !== 'ended') return found as Event;
      await closed;
      const late = find();
      if (late) return late;
      throw new Error(`It ended with ${child.exitCode} before "${name}": ${stderr}`);
    },
    async ended(timeoutMs = 60_000) {
      await eventually(hasEnded, { timeoutMs });
      await closed;
      return child.exitCode;
    },
    async [Symbol.asyncDispose]() {
      if (!hasEnded()) child.kill('SIGKILL');
      await closed;
      rmSync(state, { recursive: true, force: true });
    },
  };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
