import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { LockstepError } from '../engine/errors.ts';
import type { Direction, DirectionName, Migration } from '../engine/migration/contract.ts';

/** This checkout's own migration, wherever the command is typed. */
export const defaultFolder = fileURLToPath(new URL('../sql', import.meta.url));

/**
 * Imports `migration.ts` of a migration folder.
 * Throws LS_CONFIG when there is none, LS_MIGRATION_INVALID when it does not export a `migration`.
 */
export async function loadMigration(folder: string): Promise<Migration> {
  const path = join(folder, 'migration.ts');
  if (!existsSync(path)) throw new LockstepError('LS_CONFIG', `The migration folder ${folder} has no migration.ts.`);
  const { migration } = (await importFrom(path)) as { migration?: Migration };
  if (typeof migration?.name !== 'string' || !migration.forward?.sources || !migration.forward.targets) {
    throw new LockstepError(
      'LS_MIGRATION_INVALID',
      `${path} does not export a migration (see engine/migration/contract.ts).`,
    );
  }
  return migration;
}

/** Imports a module of a migration folder; what it throws while loading becomes LS_MIGRATION_INVALID. */
export async function importFrom(path: string): Promise<Record<string, unknown>> {
  try {
    return await import(pathToFileURL(path).href);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new LockstepError('LS_MIGRATION_INVALID', `${path} cannot be imported: ${said}.`, { cause: error });
  }
}

/** What a migration declares of a direction. Throws LS_MIGRATION_INVALID when it has no such direction. */
export function directionOf(migration: Migration, name: DirectionName): Direction {
  const direction = migration[name];
  if (direction) return direction;
  throw new LockstepError('LS_MIGRATION_INVALID', `The migration "${migration.name}" declares no ${name} direction.`);
}
