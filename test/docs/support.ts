import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');

export interface Document {
  /** From the root of the checkout. */
  readonly path: string;
  readonly text: string;
}

/** Every Markdown file of the root and of docs/. */
export async function documents(): Promise<Document[]> {
  const inDocs = await readdir(join(root, 'docs'), { recursive: true });
  const top = await readdir(root);
  const paths = [...top, ...inDocs.map((name) => join('docs', name))].filter((name) => name.endsWith('.md'));
  return await Promise.all(paths.map(async (path) => ({ path, text: await readFile(join(root, path), 'utf8') })));
}

export interface Block {
  readonly document: string;
  readonly script: string;
  readonly exitCodes: readonly number[];
}

const marked = /<!-- run(?:: exit ([\d or]+))? -->\n+```sh\n([\s\S]*?)\n```/g;

/** The blocks behind `<!-- run -->` (or `<!-- run: exit 0 or 1 -->`), in the order in which a reader comes to them. */
export function blocksOf({ path, text }: Document): Block[] {
  return [...text.matchAll(marked)].map(([, exitCodes = '0', script = '']) => ({
    document: path,
    script,
    exitCodes: exitCodes.split(' or ').map(Number),
  }));
}

export interface Mention {
  readonly command: string;
  /** `--long` names. */
  readonly options: readonly string[];
}

/** Every `lockstep COMMAND …` within code, block or inline. */
export function mentionsOf({ text }: Document): Mention[] {
  const code = [...text.matchAll(/```(?:sh|console)?\n([\s\S]*?)```|`([^`\n]+)`/g)].map(
    ([, block, inline]) => block ?? inline ?? '',
  );
  return code.flatMap((piece) =>
    [...piece.matchAll(/(?:^|[^\w./-])lockstep ([a-z]+)([^|;&\n#]*)/gm)].map(([, command = '', rest = '']) => ({
      command,
      options: [...rest.matchAll(/(?:^|\s)(--[a-z-]+)/g)].map(([, option = '']) => option),
    })),
  );
}
