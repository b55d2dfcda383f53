import { writeFile } from 'node:fs/promises';
import { type ErrorEntry, errorCatalogue, type RetryPolicy } from '../engine/errors.ts';

/** The page docs/errors.md: every error that Lockstep raises itself, in alphabetical order. */
export function errorsPage(catalogue: Readonly<Record<string, ErrorEntry>>): string {
  const entries = Object.entries(catalogue).sort(([a], [b]) => (a < b ? -1 : 1));
  return `# Errors

Generated from [engine/errors.ts](../engine/errors.ts) by \`npm run docs\`. Each error is printed with what happened (the
message names the table, the row's scope or the setting), what it means for the data, and what to do. With \`--json\` the
same is one object with \`code\`, \`message\`, \`meaning\`, \`retry\` and \`remedy\` ([schema](schema/error.schema.json)).

Whether repeating helps (\`retry\`):

| | what repeats | when it is of use |
| --- | --- | --- |
${Object.entries(policies)
  .map(([name, { repeats, use }]) => `| ${name} | ${repeats} | ${use} |`)
  .join('\n')}

Exit code 1: the answer is no. Exit code 2: could not run. What Lockstep does about errors of the server itself is decided
by their SQLSTATE ([engine/sqlstate.ts](../engine/sqlstate.ts)).

${entries.map(([code, entry]) => section(code, entry)).join('\n')}`;
}

const policies: Readonly<Record<RetryPolicy, { readonly repeats: string; readonly use: string }>> = {
  'by itself': {
    repeats:
      'a listener that has once captured tries again, after 0.25 s and then ever more slowly, up to every 10 s; what has just been started, and every other command, ends',
    use: 'when the other side is back',
  },
  later: { repeats: 'nothing', use: 'the same command, when what stood in its way has passed' },
  'once mended': { repeats: 'nothing: the same would happen again', use: 'after what is to be done' },
};

function section(code: string, { meaning, retry, remedy, exitCode }: ErrorEntry): string {
  return `## ${code}

${meaning}

**What to do:** ${remedy}

**Retry:** ${retry}. Exit code ${exitCode}.
`;
}

if (import.meta.main) await writeFile(new URL('errors.md', import.meta.url), errorsPage(errorCatalogue));
