import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { listenerFlags } from '../../cli/dev/worker.ts';

export interface PartOptions {
  readonly name: string;
  /** A file of `parts/`. */
  readonly program: 'listener' | 'applier';
  readonly env: NodeJS.ProcessEnv;
  /** Told of each line that it prints, on stdout or stderr. */
  readonly onLine: (line: string) => void;
}

/** A process of ours that is started again whenever it has ended, as a container service does. */
export interface Part extends AsyncDisposable {
  readonly name: string;
  /** Exit codes with which it has ended by itself. */
  readonly exits: (number | null)[];
  kill(): void;
  freeze(): void;
  thaw(): void;
}

const restartAfterMs = 150;

export function startPart({ name, program, env, onLine }: PartOptions): Part {
  const exits: (number | null)[] = [];
  let stopping = false;
  let child: ChildProcess;
  let ended: Promise<unknown>;
  const launch = () => {
    const path = fileURLToPath(new URL(`parts/${program}.ts`, import.meta.url));
    const flags = program === 'listener' ? listenerFlags : [];
    child = spawn(process.execPath, [...flags, path], {
      env: { ...env, NODE_COMPILE_CACHE: join(tmpdir(), 'lockstep-chaos-compiled') },
      // Closed when this process is gone: the part ends then.
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin?.on('error', () => {});
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream?.setEncoding('utf8').on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) onLine(`${name}: ${line}`);
      });
    }
    ended = once(child, 'exit').then(async ([code, signal]) => {
      if (stopping) return;
      if (signal === null) exits.push(code);
      await delay(restartAfterMs);
      if (!stopping) launch();
    });
  };
  launch();
  const signal = (name: NodeJS.Signals) => void child.kill(name);
  return {
    name,
    exits,
    kill: () => signal('SIGKILL'),
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    async [Symbol.asyncDispose]() {
      stopping = true;
      signal('SIGCONT');
      signal('SIGKILL');
      await ended;
    },
  };
}
