import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LockstepError } from '../../engine/errors.ts';
import type { DevHooks } from '../../engine/migration/dev.ts';
import { importFrom } from '../migration-folder.ts';

/** Imports `dev.ts` of a migration folder; a folder without one has no seed and no traffic. Throws LS_MIGRATION_INVALID. */
export async function loadHooks(folder: string): Promise<DevHooks> {
  const path = join(folder, 'dev.ts');
  if (!existsSync(path)) return {};
  const { dev } = (await importFrom(path)) as { dev?: DevHooks };
  if (typeof dev !== 'object') {
    throw new LockstepError('LS_MIGRATION_INVALID', `${path} does not export \`dev\` (see engine/migration/dev.ts).`);
  }
  return dev;
}
