import { type Database, openDatabase } from '../infra/postgres/database.ts';
import type { Context } from './command.ts';

/**
 * Opens the database that the settings name, for a command. Throws what `openDatabase` throws.
 *
 * @param answerTimeoutMs for commands that only ask short questions.
 */
export async function openFor(
  { telemetry }: Context,
  command: string,
  max = 4,
  answerTimeoutMs?: number,
): Promise<Database> {
  const patience = answerTimeoutMs === undefined ? {} : { answerTimeoutMs };
  return await openDatabase({ applicationName: `lockstep ${command}`, telemetry, max, ...patience });
}
