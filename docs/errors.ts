import { writeFile } from 'node:fs/promises';
import { type ErrorEntry, errorCatalogue } from '../engine/errors.ts';

/** The page docs/errors.md: every error that Lockstep raises itself, in alphabetical order. */
export function errorsPage(catalogue: Readonly<Record<string, ErrorEntry>>): string {
  const entries = Object.entries(catalogue).sort(([a], [b]) => (a < b ? -1 : 1));
  return `# Errors

Generated from [engine/errors.ts](../engine/errors.ts) by \`npm run docs\`. Each error is printed with what happened (the
message names the table, the row's scope or the setting), what it means for the data, and what to do. With \`--json\` the
same is one object with \`code\`, \`message\`, \`meaning\` and \`remedy\`.

Exit code 1: the answer is no. Exit code 2: could not run. What Lockstep does about errors of the server itself is decided
by their SQLSTATE ([engine/sqlstate.ts](../engine/sqlstate.ts)).

${entries.map(([code, entry]) => section(code, entry)).join('\n')}`;
}

function section(code: string, { meaning, remedy, exitCode }: ErrorEntry): string {
  return `## ${code}

${meaning}

**What to do:** ${remedy}

Exit code ${exitCode}.
`;
}

if (import.meta.main) await writeFile(new URL('errors.md', import.meta.url), errorsPage(errorCatalogue));
