import type { ClientBase } from 'pg';
import { z } from 'zod';
import { LockstepError } from '../../engine/errors.ts';
import { quote } from '../../engine/identifiers.ts';
import { environment } from '../../infra/contract.ts';
import { scramVerifier } from '../../infra/postgres/scram.ts';
import type { SecretCache } from '../../infra/secrets/cache.ts';

const roleSecrets = z.record(z.string().min(1), z.string().min(1));
const roleSecret = z.object({ username: z.string(), password: z.string().min(1) });

/** Reads the setting that names each role's secret. Throws LS_CONFIG. */
export function parseRoleSecrets(text: string): Record<string, string> {
  const parsed = roleSecrets.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new LockstepError('LS_CONFIG', `${environment.roleSecrets} is not a JSON object of ARNs by role.`);
}

/**
 * Gives each role the password that its secret holds; the server is sent what it stores of it only.
 * Throws LS_SECRET_UNREADABLE, also when a secret is of another role.
 */
export async function setPasswords(
  client: ClientBase,
  secrets: SecretCache,
  arns: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [role, arn] of Object.entries(arns)) {
    const secret = roleSecret.safeParse(parseJson(await secrets.read(arn)));
    if (!secret.success || secret.data.username !== role) {
      throw new LockstepError('LS_SECRET_UNREADABLE', `The secret ${arn} does not hold user and password of ${role}.`);
    }
    const verifier = scramVerifier(secret.data.password);
    await client.query(`ALTER ROLE ${quote(role)} PASSWORD '${verifier}'`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which may hold a password.
    return undefined;
  }
}
