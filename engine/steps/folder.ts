import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LockstepError } from '../errors.ts';
import { parseScript, type Script } from './script.ts';

/** A numbered SQL file. */
export interface StepFile extends Script {
  /** Whose steps these are: `engine`, or the migration's name. */
  readonly owner: string;
  readonly number: number;
  /** The file's name, `004_migrate_subscription_data.sql`. */
  readonly name: string;
  readonly path: string;
  /** With `\n` line ends, whatever the checkout has. */
  readonly text: string;
  /** SHA-256 of `text`, in hex. */
  readonly checksum: string;
}

/**
 * Reads the files `NNN_*.sql` of a folder, in order of their numbers; other files are not steps.
 * Throws LS_STEP_INVALID when two have one number, or one cannot be parsed; LS_CONFIG when there is no such folder.
 */
export async function readSteps(owner: string, directory: string): Promise<StepFile[]> {
  const names = (await listFolder(directory)).filter((name) => /^\d{3}_.+\.sql$/.test(name)).sort();
  const files: StepFile[] = [];
  for (const name of names) {
    const number = Number(name.slice(0, 3));
    const twin = files.find((file) => file.number === number);
    if (twin)
      throw new LockstepError('LS_STEP_INVALID', `${directory} has two steps ${number}: ${twin.name} and ${name}.`);
    const path = join(directory, name);
    const text = (await readFile(path, 'utf8')).replaceAll('\r\n', '\n');
    const checksum = createHash('sha256').update(text).digest('hex');
    files.push({ owner, number, name, path, text, checksum, ...(await parseScript(path, text)) });
  }
  return files;
}

async function listFolder(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    throw new LockstepError('LS_CONFIG', `The migration folder ${directory} cannot be read.`, { cause: error });
  }
}
