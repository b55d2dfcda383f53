import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, configSchema } from './schema.ts';

/** What is wrong with a deployment's configuration, all of it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const folder = join(import.meta.dirname, '../environments');

/** Reads `cdk/environments/NAME.json`. Throws ConfigError. */
export function readConfig(name: string): Config {
  const path = join(folder, `${name}.json`);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(`There is no cdk/environments/${name}.json; choose one with --context environment=NAME.`, {
      cause,
    });
  }
  return parseConfig(`cdk/environments/${name}.json`, text);
}

/**
 * @param file for the message.
 * Throws ConfigError, which names every problem and where it is: one deployment should be enough to learn of them.
 */
export function parseConfig(file: string, text: string): Config {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(`${file} is not JSON: ${(cause as Error).message}.`, { cause });
  }
  const parsed = configSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `  ${path.join('.') || '(top)'}: ${message}`);
  throw new ConfigError(
    `${file} has ${problems.length} problem(s), and nothing was synthesized:\n${problems.join('\n')}`,
  );
}
