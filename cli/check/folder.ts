import { resolve } from 'node:path';
import type { CheckReport } from '../../engine/check/check.ts';
import { LockstepError } from '../../engine/errors.ts';
import { loadMigration } from '../migration-folder.ts';
import { openScratch } from '../scratch.ts';

export interface CheckedFolder {
  readonly folder: string;
  /** The migration's. */
  readonly name: string;
  readonly report: CheckReport;
}

/**
 * Checks a migration folder on a scratch database. Numbered SQL that does not run is a finding, too.
 * Throws LS_CONFIG and LS_MIGRATION_INVALID when there is no migration in the folder, and what `startPostgres` throws.
 */
export async function checkFolder(directory: string): Promise<CheckedFolder> {
  const folder = resolve(directory);
  const { name } = await loadMigration(folder);
  try {
    await using scratch = await openScratch(folder);
    return { folder, name, report: await scratch.check() };
  } catch (error) {
    if (!(error instanceof LockstepError) || !error.code.startsWith('LS_STEP_')) throw error;
    const finding = {
      rule: 'step-failed',
      direction: 'forward',
      subject: 'numbered SQL',
      found: error.message,
    } as const;
    return { folder, name, report: { findings: [finding], rehearsed: {} } };
  }
}
