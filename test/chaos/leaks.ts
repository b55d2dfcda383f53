import { privateNote } from './book.ts';
import { awsSecret, type Machine } from './machine.ts';
import { privateEmail } from './markers.ts';
import { privateText } from './workload.ts';

/** Values of rows that the workload writes, beside those made to be looked for: plans, names that are too long, addresses. */
const rowData = [privateText, privateNote, privateEmail, '(gold)', 'nnnnnnnnnn', '@mail.example', 'https://cdn'];

/**
 * What a process has printed and should not have: passwords, keys, connection strings, values of rows.
 *
 * @returns by forbidden text, the first line that holds it.
 */
export function leaks({ printed, passwords, server }: Machine): Record<string, string> {
  const superuser = new URL(server.url()).password;
  const forbidden = [...passwords, awsSecret, superuser, 'postgresql://', 'postgres://', ...rowData];
  const found: Record<string, string> = {};
  for (const text of forbidden) {
    const line = printed.find((candidate) => candidate.includes(text));
    if (line !== undefined) found[text] = line.slice(0, 1_000);
  }
  return found;
}
