import { mkdir, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { answers } from '../cli/answers/answers.ts';
import { answerVersions, type EventName } from '../cli/answers/versions.ts';

/** By command line without options: what it prints with --json, in the order in which it does. */
export const answersOf: Readonly<Record<string, readonly EventName[]>> = {
  dev: ['ready', 'progress', 'summary'],
  new: ['written'],
  check: ['checked'],
  plan: ['plan'],
  migrate: ['migrated'],
  listen: ['capturing', 'listening-ended'],
  apply: ['applying'],
  backfill: ['backfill', 'backfill-ended', 'paused'],
  status: ['status'],
  dashboard: ['ready'],
  wait: ['wait'],
  validate: ['validated'],
  retry: ['retried'],
  arm: ['armed'],
  cutover: ['cutover'],
  'rollback plan': ['rollback-plan'],
  'rollback sync': ['rollback-sync'],
  'rollback switch': ['rollback'],
  complete: ['complete'],
  restore: ['restored'],
  completion: ['completion'],
};

interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

/** `input`: a reader must not refuse fields that a later answer may have. */
export function schemaOf(event: EventName): JsonSchema {
  return z.toJSONSchema(answers[event], { io: 'input' }) as JsonSchema;
}

export const schemaText = (event: EventName): string => `${JSON.stringify(schemaOf(event), undefined, 2)}\n`;

/** `string, null`, `closed or open`: what a value is, for people. */
function typeText(schema: JsonSchema): string {
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.anyOf) return schema.anyOf.map(typeText).join(' or ');
  if (schema.type === 'array') return `list of ${schema.items ? typeText(schema.items) : 'anything'}`;
  return schema.type ?? 'anything';
}

interface Field {
  readonly path: string;
  readonly type: string;
  readonly meaning: string;
}

/** Every field of an object, those of objects within it under their path: `slot.name`, `findings[].text`. */
function fieldsOf(schema: JsonSchema, prefix = ''): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const optional = schema.required?.includes(name) ? '' : ' (may be missing)';
    const own = { path, type: `${typeText(field)}${optional}`, meaning: field.description ?? '' };
    return [own, ...within(field, path)];
  });
}

function within(schema: JsonSchema, path: string): Field[] {
  if (schema.anyOf) return schema.anyOf.flatMap((part) => within(part, path));
  if (schema.items) return within(schema.items, `${path}[]`);
  return schema.properties ? fieldsOf(schema, `${path}.`) : [];
}

/** The page docs/json.md. */
export function jsonPage(): string {
  const commands = Object.entries(answersOf).map(
    ([command, events]) => `| \`lockstep ${command}\` | ${events.map((event) => `[${event}](#${event})`).join(', ')} |`,
  );
  return `# What commands print with \`--json\`

Generated from [cli/answers](../cli/answers) by \`npm run docs\`. Every command takes \`--json\`: it then prints one object a line to
stdout and nothing else. \`event\` says what an object is, and \`version\` which version of its schema it follows: under one
version fields may be added; a field that goes away, or comes to mean something else, raises it. An error is one object on
stderr ([error](#error)). Exit codes: 0 fine, 1 the answer is no, 2 it could not run.

\`listen\` and \`apply\` also print their structured log and their metrics there, as the deployed parts do: objects without
\`event\`.

| command | prints |
| --- | --- |
${commands.join('\n')}
| any | [error](#error), on stderr |

${Object.keys(answers)
  .map((event) => section(event as EventName))
  .join('\n')}`;
}

function section(event: EventName): string {
  const schema = schemaOf(event);
  const fields = fieldsOf(schema).filter(({ path }) => path !== 'event' && path !== 'version');
  const rows = fields.map(({ path, type, meaning }) => `| \`${path}\` | ${type} | ${meaning.replaceAll('|', '\\|')} |`);
  // The report has a page of its own, which says more than its schema does.
  const table = event === 'validated' ? [] : ['', '| field | is | |', '| --- | --- | --- |', ...rows];
  const about = schema.description?.replace('docs/report.md', '[The validation report](report.md)') ?? '';
  return [
    `## ${event}`,
    '',
    about,
    `Version ${answerVersions[event]}, [schema](schema/${event}.schema.json).`,
    ...table,
    '',
  ].join('\n');
}

if (import.meta.main) {
  const folder = new URL('schema/', import.meta.url);
  await mkdir(folder, { recursive: true });
  for (const event of Object.keys(answers) as EventName[]) {
    await writeFile(new URL(`${event}.schema.json`, folder), schemaText(event));
  }
  await writeFile(new URL('json.md', import.meta.url), jsonPage());
}
