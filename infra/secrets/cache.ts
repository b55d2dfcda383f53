import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { type Clock, systemClock } from '../../engine/clock.ts';
import { LockstepError } from '../../engine/errors.ts';

export interface SecretCache {
  /** The secret's text, at most `ttlMs` old. Throws LS_SECRET_UNREADABLE. */
  read(arn: string): Promise<string>;
  /** The next `read` fetches it again: the old value was refused. */
  forget(arn: string): void;
}

export interface SecretCacheOptions {
  readonly client: Pick<SecretsManagerClient, 'send'>;
  /** Default 5 minutes. */
  readonly ttlMs?: number;
  readonly clock?: Pick<Clock, 'nowMs'>;
}

interface Entry {
  readonly fetchedAtMs: number;
  readonly value: Promise<string>;
}

/** Readers that ask at the same time share one request; a failed one is not remembered. */
export function createSecretCache({ client, ttlMs = 300_000, clock = systemClock }: SecretCacheOptions): SecretCache {
  const entries = new Map<string, Entry>();
  return {
    read(arn) {
      const known = entries.get(arn);
      if (known && clock.nowMs() - known.fetchedAtMs < ttlMs) return known.value;
      const entry: Entry = { fetchedAtMs: clock.nowMs(), value: fetchSecret(client, arn) };
      entries.set(arn, entry);
      entry.value.catch(() => {
        if (entries.get(arn) === entry) entries.delete(arn);
      });
      return entry.value;
    },
    forget: (arn) => void entries.delete(arn),
  };
}

/** A client that takes region, endpoint and credentials from the usual AWS settings. */
export function createSecretsClient(): SecretsManagerClient {
  return new SecretsManagerClient({});
}

async function fetchSecret(client: Pick<SecretsManagerClient, 'send'>, arn: string): Promise<string> {
  try {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: arn }));
    if (SecretString !== undefined) return SecretString;
  } catch (cause) {
    throw new LockstepError('LS_SECRET_UNREADABLE', `The secret ${arn} cannot be read: ${(cause as Error).name}.`, {
      cause,
    });
  }
  throw new LockstepError('LS_SECRET_UNREADABLE', `The secret ${arn} holds no text.`);
}
