import type { ClientBase, Pool } from 'pg';

/** Ids that read well: `id('user', 3)`. */
const kinds = { user: 1, project: 2, photo: 3, item: 4, video: 5, subscription: 6 } as const;

export function id(kind: keyof typeof kinds, number: number): string {
  return `${kinds[kind]}0000000-0000-0000-0000-${String(number).padStart(12, '0')}`;
}

/** Writes legacy rows that foreign keys refuse today: they are older than the keys. */
export async function writeOrphans(client: ClientBase, sql: string): Promise<void> {
  await client.query(`BEGIN; SET LOCAL session_replication_role = replica; ${sql}; COMMIT`);
}

/** User n with project n. */
export async function addUsers(db: Pool | ClientBase, ...numbers: number[]): Promise<void> {
  for (const n of numbers) {
    await db.query('INSERT INTO users (id, email, created_at) VALUES ($1, $2, $3)', [
      id('user', n),
      `${n}@mail.example`,
      '2026-01-31T12:00:00Z',
    ]);
    await db.query('INSERT INTO video_projects (id, user_id) VALUES ($1, $2)', [id('project', n), id('user', n)]);
  }
}

/** Photo n of a project; columns may be overridden. */
export async function addPhoto(
  db: Pool | ClientBase,
  n: number,
  project: number,
  columns: Record<string, unknown> = {},
): Promise<void> {
  const row: Record<string, unknown> = {
    id: id('photo', n),
    project_id: id('project', project),
    original_filename: `${n}.jpg`,
    file_url: `https://cdn.example/photos/${n}.jpg`,
    mime_type: 'image/jpeg',
    file_size_bytes: 1000,
    upload_order: n,
    created_at: `2026-02-01T00:00:${String(n % 60).padStart(2, '0')}Z`,
    ...columns,
  };
  const names = Object.keys(row);
  await db.query(
    `INSERT INTO photos (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
    Object.values(row),
  );
}

/** The rows of a query. */
export async function rows<T extends object = Record<string, unknown>>(
  db: Pool | ClientBase,
  sql: string,
  values: unknown[] = [],
): Promise<T[]> {
  return (await db.query<T>(sql, values)).rows;
}

/** The first column of the first row. */
export async function value<T = unknown>(db: Pool | ClientBase, sql: string, values: unknown[] = []): Promise<T> {
  const [row] = await rows(db, sql, values);
  return Object.values(row ?? {})[0] as T;
}

const columnsOf = new Map<string, string>();

/** A plain `INSERT … SELECT` of a target's view. Answers how many rows it wrote. */
export async function derive(db: Pool | ClientBase, target: string, where = 'true'): Promise<number> {
  const columns =
    columnsOf.get(target) ??
    (await value<string>(
      db,
      `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
       WHERE attrelid = $1::regclass AND attnum > 0`,
      [`lockstep_forward.${target}`],
    ));
  columnsOf.set(target, columns);
  const inserted = await db.query(
    `INSERT INTO ${target} (${columns}) SELECT ${columns} FROM lockstep_forward.${target} WHERE ${where}`,
  );
  return inserted.rowCount ?? 0;
}

/** The SQLSTATE that a statement fails with, or undefined. */
export async function sqlStateOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}
