import { hasSqlDetails, type Node, parse } from 'libpg-query';
import { LockstepError } from '../errors.ts';

/**
 * Steps of `forward` are due from the start; those of `completion` prepare the end, while the legacy tables are still kept in
 * step; those of `complete` are due once they no longer are.
 */
export type StepPhase = 'forward' | 'completion' | 'complete';

export interface Statement {
  readonly text: string;
  /** Line of the file on which it begins, from 1. */
  readonly line: number;
  /** Runs outside of transactions, and waits for those of others without standing in anyone's way. */
  readonly concurrent: boolean;
  /** Set for CREATE INDEX CONCURRENTLY: what a failed try leaves behind under this name. */
  readonly index?: ConcurrentIndex;
}

export interface ConcurrentIndex {
  readonly name: string;
  readonly table: { readonly schema: string | null; readonly name: string };
}

export interface Script {
  readonly transaction: boolean;
  readonly phase: StepPhase;
  readonly statements: readonly Statement[];
}

const headers: Readonly<Record<string, Partial<Pick<Script, 'transaction' | 'phase'>>>> = {
  'no transaction': { transaction: false },
  'phase forward': { phase: 'forward' },
  'phase completion': { phase: 'completion' },
  'phase complete': { phase: 'complete' },
};

/**
 * Reads a numbered SQL file: headers (`-- lockstep: no transaction`, `-- lockstep: phase completion`, `-- lockstep: phase complete`) in the comment
 * block at its top, then statements, split by PostgreSQL's own parser.
 * Throws LS_STEP_INVALID, naming `file` and the line.
 */
export async function parseScript(file: string, text: string): Promise<Script> {
  const header = parseHeaders(file, text);
  const transaction = header.transaction ?? true;
  const bytes = Buffer.from(text);
  const statements: Statement[] = [];
  for (const raw of await parseStatements(file, text)) {
    const start = raw.stmt_location ?? 0;
    const slice = bytes.subarray(start, raw.stmt_len ? start + raw.stmt_len : undefined).toString();
    const body = slice.trim();
    const before = bytes.subarray(0, start).toString() + slice.slice(0, slice.indexOf(body));
    const line = before.split('\n').length;
    statements.push({ text: body, line, ...classify(file, line, raw.stmt as Node, transaction) });
  }
  return { transaction, phase: header.phase ?? 'forward', statements };
}

function parseHeaders(file: string, text: string): Partial<Pick<Script, 'transaction' | 'phase'>> {
  const lines = text.split('\n');
  const firstOther = lines.findIndex((line) => !/^\s*(--|$)/.test(line));
  let found = {};
  for (const [index, line] of lines.entries()) {
    const header = /^\s*--\s*lockstep:\s*(.*?)\s*$/.exec(line)?.[1];
    if (header === undefined) continue;
    const meaning = headers[header];
    if (!meaning) {
      throw invalid(file, index + 1, `unknown header "${header}" (known: ${Object.keys(headers).join(', ')})`);
    }
    if (firstOther >= 0 && index > firstOther) {
      throw invalid(file, index + 1, `the header "${header}" must stand above the first statement`);
    }
    found = { ...found, ...meaning };
  }
  return found;
}

async function parseStatements(file: string, text: string) {
  try {
    const { stmts } = await parse(text);
    return stmts ?? [];
  } catch (error) {
    if (!hasSqlDetails(error)) throw error;
    const line = text.slice(0, error.sqlDetails?.cursorPosition ?? 0).split('\n').length;
    throw invalid(file, line, error.message, error);
  }
}

function classify(file: string, line: number, node: Node, transaction: boolean): Omit<Statement, 'text' | 'line'> {
  if ('TransactionStmt' in node) {
    throw invalid(file, line, 'transactions are the runner’s: remove BEGIN, COMMIT and the like');
  }
  if ('IndexStmt' in node && node.IndexStmt.concurrent) {
    const { idxname, relation } = node.IndexStmt;
    if (transaction) throw outsideTransaction(file, line, 'CREATE INDEX CONCURRENTLY');
    if (!idxname)
      throw invalid(file, line, 'CREATE INDEX CONCURRENTLY needs a name, so that a failed try can be found');
    const table = { schema: relation?.schemaname ?? null, name: relation?.relname ?? '' };
    return { concurrent: true, index: { name: idxname, table } };
  }
  const concurrent =
    ('DropStmt' in node && node.DropStmt.concurrent === true) || 'ReindexStmt' in node || 'VacuumStmt' in node;
  if (transaction && 'DropStmt' in node && concurrent) throw outsideTransaction(file, line, 'DROP INDEX CONCURRENTLY');
  return { concurrent };
}

function outsideTransaction(file: string, line: number, what: string): LockstepError {
  return invalid(
    file,
    line,
    `${what} cannot run inside a transaction: begin the file with "-- lockstep: no transaction"`,
  );
}

function invalid(file: string, line: number, what: string, cause?: Error): LockstepError {
  return new LockstepError('LS_STEP_INVALID', `${file} line ${line}: ${what}.`, cause && { cause });
}
