import { createInterface } from 'node:readline/promises';
import { LockstepError } from '../engine/errors.ts';

/**
 * Asks the person at the terminal whether to go on. Where nobody can be asked, only `--yes` says so.
 *
 * @param what what is about to happen, in a sentence.
 * @throws LockstepError LS_UNCONFIRMED
 */
export async function confirm(what: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new LockstepError('LS_UNCONFIRMED', `This needs a confirmation, and nobody can be asked here. ${what}`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await terminal.question(`${what}\nGo on? (yes/no) `);
    if (answer.trim().toLowerCase() === 'yes') return;
  } finally {
    terminal.close();
  }
  throw new LockstepError('LS_UNCONFIRMED', `It was not confirmed. ${what}`);
}
