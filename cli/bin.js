#!/usr/bin/env node
// The sources are TypeScript, which Node runs as they are from 24 on. An older Node hands over to the one that
// `npm ci` has installed beside it (the package `node`).
import { spawn } from 'node:child_process';
// As a whole: Node 20 lacks one of the names.
import * as nodeModule from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const wantedMajor = 24;
const current = Number(process.versions.node.split('.')[0]) >= wantedMajor;

// A listener makes much short-lived garbage; a small nursery, and an old generation that grows by a fifth before it is
// collected, keep its memory flat and small under a transaction of any size. Node takes that from its command line only.
const flags =
  process.argv[2] === 'listen' && process.execArgv.length === 0
    ? ['--max-semi-space-size=4', '--heap-growing-percent=20']
    : [];

// Stripping types and compiling takes a third of the time of a short command. The cache is this checkout's own: in a
// folder that others can write they could put what we run. Where it cannot be written, it is not used.
const cache = fileURLToPath(new URL('../node_modules/.cache/node-compile', import.meta.url));
if (current) {
  nodeModule.enableCompileCache(cache);
  // For the processes that we start.
  process.env.NODE_COMPILE_CACHE ??= cache;
}

if (current && (flags.length === 0 || process.env.LOCKSTEP_HANDED_OVER)) {
  const { main } = await import('./main.ts');
  await main(process.argv.slice(2));
  // Said, and not left to the end of the event loop: Node's teardown can spin for ever over a handle that is just being
  // closed (https://github.com/nodejs/node/issues/47748).
  nodeModule.flushCompileCache?.();
  process.exit();
} else {
  handOver(current ? process.execPath : undefined);
}

function handOver(ownNode) {
  let node = ownNode;
  try {
    if (!ownNode && process.env.LOCKSTEP_HANDED_OVER) throw new Error(`it is ${process.version} as well`);
    node ??= nodeModule.createRequire(import.meta.url).resolve('node/bin/node');
  } catch {
    process.stderr.write(
      `lockstep needs Node ${wantedMajor} or newer; this is ${process.version}.\n` +
        '  Do this:  run `npm ci` in the checkout of Lockstep (it installs one), or install Node 24.\n',
    );
    process.exit(2);
  }
  process.env.LOCKSTEP_HANDED_OVER = '1';
  // The channel tells the child when this process is gone, however it went.
  const child = spawn(node, [...flags, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`lockstep: ${node} does not run: ${error.message}\n`);
    process.exit(2);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
