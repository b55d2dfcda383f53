import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Variables = Readonly<Record<string, string>>;

/** A bundle of the assembly in a folder of its own, and nothing beside it. @returns the folder. */
export function unpack(bundle: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-task-'));
  cpSync(bundle, folder, { recursive: true });
  return folder;
}

/** How a container begins, by its Dockerfile: `node OPTIONS /app/SCRIPT`. */
export function entryPoint(context: string): {
  readonly node: string;
  readonly options: string[];
  readonly script: string;
} {
  const text = /^ENTRYPOINT (\[.+\])$/m.exec(readFileSync(join(context, 'Dockerfile'), 'utf8'))?.[1] ?? '[]';
  const parts = JSON.parse(text) as string[];
  return { node: parts[0] ?? '', options: parts.slice(1, -1), script: parts.at(-1)?.replace('/app/', '') ?? '' };
}

export interface Running extends AsyncDisposable {
  readonly child: ChildProcess;
  /** All that it has written. */
  output(): string;
}

/** A process on plain Node (its options, the script) with these variables and no others; ended with SIGTERM. */
export function start(args: readonly string[], cwd: string, env: Variables, ipc = false): Running {
  const child = spawn(process.execPath, args, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
  });
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return {
    child,
    output: () => Buffer.concat(chunks).toString(),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}

export interface LambdaProcess extends Running {
  /** From the start of the process's module to the handler's. */
  readonly initMs: number;
  /** Rejects with the handler's error; its `code` is kept. */
  invoke<T>(event: unknown): Promise<T>;
}

/** A function's bundle as Lambda runs it. `env` are the template's variables and those of the platform. */
export async function startLambda(folder: string, handler: string, env: Variables): Promise<LambdaProcess> {
  const variables = { ...env, LAMBDA_TASK_ROOT: folder, _HANDLER: handler };
  const running = start([join(import.meta.dirname, 'lambda.js')], folder, variables, true);
  const { child } = running;
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  const ready = new Promise<number>((resolve, reject) => {
    child.once('exit', () => {
      const error = new Error(`${handler} ended:\n${running.output()}`);
      reject(error);
      for (const { reject: fail } of waiting.values()) fail(error);
    });
    child.on('message', (message: { ready?: number; id: number; result?: unknown; error?: { message: string } }) => {
      if (message.ready !== undefined) return resolve(message.ready);
      const caller = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error) caller?.reject(Object.assign(new Error(message.error.message), message.error));
      else caller?.resolve(message.result);
    });
  });
  const initMs = await ready;
  let next = 0;
  return {
    ...running,
    initMs,
    invoke: <T>(event: unknown) =>
      new Promise<T>((resolve, reject) => {
        const id = next++;
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
        child.send({ id, event, timeoutMs: 60_000 });
      }),
  };
}
