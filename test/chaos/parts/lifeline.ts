/**
 * Ends this process when the one that started it is gone, however that one ended: the pipe at stdin closes then. What
 * is to be ended by a test's kill would otherwise go on for ever.
 */
export function hangOnParent(): void {
  process.stdin.on('end', () => process.exit(1)).resume();
  process.stdin.unref();
}
