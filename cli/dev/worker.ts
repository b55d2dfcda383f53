import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { LockstepError } from '../../engine/errors.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import { type Failure, ReportedFailure } from '../failure.ts';
import type { WorkerMessage } from './worker-messages.ts';

/** Of Node, for a listener; bin.js and the container's entry, which cannot read this, say the same. */
export const listenerFlags = ['--max-semi-space-size=4', '--heap-growing-percent=20'];

export interface WorkerOptions {
  /** `listener` or `applier`: a file of `processes/`. */
  readonly name: 'listener' | 'applier';
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Gets what the worker logs and measures. */
  readonly telemetry: Telemetry;
  /** Told why the worker has ended, when nobody has stopped it. */
  readonly onEnded: (error: Error) => void;
}

export interface Worker {
  readonly ready: Promise<void>;
  /** Lets it end what it has in hand. */
  stop(): Promise<void>;
}

/**
 * Runs a part of the machine as a process of its own, so that two cores are used. It ends when this process is gone,
 * however that went. One that is killed is started again, as a container would be.
 */
export function startWorker(options: WorkerOptions): Worker {
  let stopping = false;
  let child = launch(options);
  const { promise: ready, resolve: markReady } = Promise.withResolvers<void>();
  const watch = () => {
    let failure: Failure | undefined;
    child.on('message', (message: WorkerMessage) => {
      if (message.kind === 'ready') markReady();
      else if (message.kind === 'failed') failure = message.failure;
      else relay(options.telemetry, message);
    });
    // Not even started: then it does not exit either.
    child.once('error', options.onEnded);
    child.once('exit', (code, signal) => {
      if (stopping) return;
      if (signal === null) {
        const message = `The ${options.name} ended by itself with exit code ${code}.`;
        options.onEnded(failure ? new ReportedFailure(failure) : new LockstepError('LS_WORKER_ENDED', message));
        return;
      }
      options.telemetry.log('warn', `${options.name} was killed and is started again`, { signal });
      child = launch(options);
      watch();
    });
  };
  watch();
  return {
    ready,
    async stop() {
      stopping = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      if (child.connected) child.send('stop');
      await exited;
    },
  };
}

function launch({ name, folder, env }: WorkerOptions): ChildProcess {
  const path = fileURLToPath(new URL(`processes/${name}.ts`, import.meta.url));
  const execArgv = name === 'listener' ? listenerFlags : [];
  // stdout belongs to the events of `lockstep dev`.
  return fork(path, [folder], { env, execArgv, stdio: ['ignore', process.stderr, process.stderr, 'ipc'] });
}

function relay(telemetry: Telemetry, message: Exclude<WorkerMessage, { kind: 'ready' | 'failed' }>): void {
  if (message.kind === 'log') telemetry.log(message.level, message.event, message.fields);
  else for (const [metric, value] of message.values) telemetry.measure(metric, value);
}
