import { type Database, openDatabase } from '../infra/postgres/database.ts';
import type { Context } from './command.ts';

/** Opens the database that the settings name, for a command. Throws what `openDatabase` throws. */
export async function openFor({ telemetry }: Context, command: string, max = 4): Promise<Database> {
  return await openDatabase({ applicationName: `lockstep ${command}`, telemetry, max });
}
