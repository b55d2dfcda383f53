import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LockstepError } from '../../engine/errors.ts';

const template = fileURLToPath(new URL('template', import.meta.url));

export interface WrittenTemplate {
  readonly folder: string;
  /** The migration's name, made of the folder's. */
  readonly name: string;
  readonly files: readonly string[];
}

/**
 * Writes the template migration to a folder, which is made. Its imports are turned to lead to this checkout.
 * Throws LS_CONFIG when something is in the folder already, or it cannot be written.
 */
export async function writeTemplate(directory: string): Promise<WrittenTemplate> {
  const folder = resolve(directory);
  const name = nameOfFolder(folder);
  try {
    await mkdir(folder, { recursive: true });
    const present = await readdir(folder);
    if (present.length > 0) {
      throw new LockstepError('LS_CONFIG', `${folder} is not empty (it has ${present[0]}); choose another folder.`);
    }
    const files = (await readdir(template)).sort();
    for (const file of files) {
      const text = await readFile(join(template, file), 'utf8');
      await writeFile(join(folder, file), adapt(text, folder, name), { flag: 'wx' });
    }
    return { folder, name, files };
  } catch (cause) {
    if (cause instanceof LockstepError) throw cause;
    throw new LockstepError('LS_CONFIG', `${folder} cannot be written: ${(cause as Error).message}.`, { cause });
  }
}

/** Imports of the checkout are relative to the new place, and the migration gets its own name. */
function adapt(text: string, folder: string, name: string): string {
  return text
    .replace(/from '(\.\.\/[^']+)'/g, (_, path: string) => `from '${modulePath(folder, resolve(template, path))}'`)
    .replace("name: 'tickets',\n  forward", `name: '${name}',\n  forward`);
}

function modulePath(folder: string, file: string): string {
  const path = relative(folder, file).replaceAll('\\', '/');
  return path.startsWith('.') ? path : `./${path}`;
}

/** Lower case, so that it is a database's name that nobody has to quote. */
function nameOfFolder(folder: string): string {
  const plain = basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '');
  return /^[a-z]/.test(plain) ? plain.slice(0, 40) : `migration_${plain}`.slice(0, 40);
}
