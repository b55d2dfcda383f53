import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { reportSchema, reportVersion } from '../../engine/validate/report.ts';

const file = (name: string) => readFile(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

/** `input`: a reader must not refuse fields that a later report may have. */
const published = () => z.toJSONSchema(reportSchema, { io: 'input' }) as JsonSchema;

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

function fieldsOf({ properties = {}, items, anyOf = [] }: JsonSchema): string[] {
  const own = Object.entries(properties).flatMap(([name, schema]) => [name, ...fieldsOf(schema)]);
  return [...own, ...(items ? fieldsOf(items) : []), ...anyOf.flatMap(fieldsOf)];
}

test('the published schema is the one that reports are checked against', async () => {
  expect(JSON.parse(await file('report.schema.json'))).toEqual(published());
});

test('every field of the report is explained, and the version is told', async () => {
  const text = await file('report.md');
  expect(text).toContain(`\`version\` is ${reportVersion}.`);
  const fields = new Set(fieldsOf(published()));
  expect(fields.size).toBeGreaterThan(50);
  expect([...fields].filter((field) => !new RegExp(`\`([a-z]+\\.)?${field}(\\[\\])?\``).test(text))).toEqual([]);
});
