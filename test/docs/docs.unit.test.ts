import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { answers } from '../../cli/answers/answers.ts';
import type { EventName } from '../../cli/answers/versions.ts';
import { addCommand, addGroup, type CommandGroup, type CommandSpec } from '../../cli/command.ts';
import { completionOf } from '../../cli/commands/completion.ts';
import { errorsPage } from '../../docs/errors.ts';
import { answersOf, jsonPage, schemaText } from '../../docs/json.ts';
import { errorCatalogue } from '../../engine/errors.ts';
import { blocksOf, documents, mentionsOf, root } from './support.ts';

/** As GitHub makes them of headings. */
function anchorsOf(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, text]) => text ?? '');
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** Targets of links and pictures, in Markdown and in HTML; not those in code. */
function targetsOf(markdown: string): string[] {
  const text = markdown.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, '`code`');
  const patterns = [/\]\(([^)\s]+)\)/g, /(?:src|srcset|href)="([^"]+)"/g];
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([, target = '']) => target));
}

/** Why a link to elsewhere cannot be right; nothing is asked of the network. */
function malformed(target: string): string | undefined {
  const url = URL.parse(target);
  if (!url) return 'not a URL';
  if (url.protocol !== 'https:') return 'not https';
  return /^[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}$/.test(url.hostname) ? undefined : 'no such host name';
}

test('docs/errors.md is what engine/errors.ts says (npm run docs)', async () => {
  expect(await readFile(join(root, 'docs/errors.md'), 'utf8')).toBe(errorsPage(errorCatalogue));
});

test('docs/json.md and docs/schema are what cli/answers says (npm run docs), and every command is in them', async () => {
  expect(await readFile(join(root, 'docs/json.md'), 'utf8')).toBe(jsonPage());
  const events = Object.keys(answers) as EventName[];
  for (const event of events) {
    expect(await readFile(join(root, `docs/schema/${event}.schema.json`), 'utf8'), event).toBe(schemaText(event));
  }
  expect(await readdir(join(root, 'docs/schema'))).toHaveLength(events.length);
  const printed = new Set(Object.values(answersOf).flat());
  expect(events.filter((event) => !printed.has(event))).toEqual(['error']);
  const lines = Object.keys(answersOf).map((line) => line.split(' ')[0]);
  expect([...new Set(lines)].sort()).toEqual([...(await optionsByCommand()).keys()].sort());
});

test('every link and picture of the documentation leads somewhere', async () => {
  const broken: string[] = [];
  for (const { path: page, text } of await documents()) {
    for (const target of targetsOf(text)) {
      if (/^[a-z]+:/.test(target)) {
        const why = malformed(target);
        if (why) broken.push(`${page}: ${target} (${why})`);
        continue;
      }
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? join(root, page) : resolve(root, dirname(page), path);
      if (!existsSync(file)) broken.push(`${page}: ${target}`);
      else if (anchor !== undefined && !anchorsOf(await readFile(file, 'utf8')).has(anchor)) {
        broken.push(`${page}: ${target}`);
      }
    }
  }
  expect(broken).toEqual([]);
});

test('links that lead nowhere are told from those that do', () => {
  expect(malformed('https://www.postgresql.org/docs/current/')).toBeUndefined();
  expect(malformed('http://example.org/')).toBe('not https');
  expect(malformed('https://postgresql/docs')).toBe('no such host name');
  expect(targetsOf('[a](b.md) <img src="c.png"> `[d](e.md)`')).toEqual(['b.md', 'c.png']);
  expect(anchorsOf('## Why it converges\n')).toContain('why-it-converges');
});

/** The options of every command, by its name. */
async function optionsByCommand(): Promise<Map<string, Set<string>>> {
  const known = new Map<string, Set<string>>();
  for (const file of await readdir(join(root, 'cli/commands'))) {
    const module = (await import(join(root, 'cli/commands', file))) as Record<
      string,
      CommandSpec<never> | CommandGroup | typeof completionOf
    >;
    for (const exported of Object.values(module)) {
      // One is made of all the others.
      const spec = exported === completionOf ? completionOf(async () => new Command()) : exported;
      const program = new Command();
      if (Array.isArray((spec as Partial<CommandGroup>).commands)) addGroup(program, spec as CommandGroup);
      else if (typeof (spec as CommandSpec<never>).configure === 'function')
        addCommand(program, spec as CommandSpec<never>);
      else continue;
      const commands = program.commands.flatMap((command) => [command, ...command.commands]);
      const options = commands.flatMap((command) => command.options.map(({ long }) => long ?? ''));
      known.set(spec.name, new Set([...options, '--help']));
    }
  }
  return known;
}

test('every npm script, command and option that the documentation names exists', async () => {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const known = await optionsByCommand();
  expect(known.get('validate')).toContain('--repair');
  const unknown: string[] = [];
  for (const document of await documents()) {
    for (const [, script = ''] of document.text.matchAll(/npm run ([a-z:-]+)/g)) {
      if (!(script in scripts)) unknown.push(`${document.path}: npm run ${script}`);
    }
    for (const { command, options } of mentionsOf(document)) {
      const of = known.get(command);
      if (!of) unknown.push(`${document.path}: lockstep ${command}`);
      for (const option of options)
        if (of && !of.has(option)) unknown.push(`${document.path}: lockstep ${command} ${option}`);
    }
  }
  expect(unknown).toEqual([]);
});

test('a mention and a marked block are found where they are', () => {
  const text =
    'See `npx lockstep wait --timeout 5 && npx lockstep status`.\n\n<!-- run: exit 0 or 1 -->\n```sh\nnpx lockstep retry\n```\n';
  expect(mentionsOf({ path: 'a.md', text })).toEqual([
    { command: 'wait', options: ['--timeout'] },
    { command: 'status', options: [] },
    { command: 'retry', options: [] },
  ]);
  expect(blocksOf({ path: 'a.md', text })).toEqual([
    { document: 'a.md', script: 'npx lockstep retry', exitCodes: [0, 1] },
  ]);
});
