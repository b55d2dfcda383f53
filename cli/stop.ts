import { constants } from 'node:os';

/** A terminal's Ctrl-C reaches this process twice when another one passes signals on; so soon after, it is the same. */
const echoMs = 500;

/** How long a process whose parent is gone may take to end what it has in hand. */
const orphanMs = 10_000;

/**
 * A signal that aborts when the process is asked to stop: by SIGINT, SIGTERM or SIGHUP, or because the process that
 * started it over an IPC channel is gone. Asked once more, it exits at once.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  let askedAtMs = 0;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted && Date.now() - askedAtMs > echoMs) process.exit(128 + constants.signals[name]);
      askedAtMs ||= Date.now();
      controller.abort();
    });
  }
  if (process.channel) {
    process.on('disconnect', () => {
      controller.abort();
      setTimeout(() => process.exit(2), orphanMs).unref();
    });
    // Listening keeps a process alive; a command that is done must end.
    process.channel.unref();
  }
  return controller.signal;
}
