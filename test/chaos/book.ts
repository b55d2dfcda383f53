import type pg from 'pg';
import type { Repositories } from '../../app/index.ts';
import type { Random } from '../../sql/traffic/random.ts';
import { privateText } from './workload.ts';

/** A file's name starts with it; no log may show it. */
export const privateNote = 'private-note-';

/** A write that a writer is about to do to one of its own files, and what is known of it afterwards. */
export interface Note {
  write(to: Repositories): Promise<unknown>;
  committed(): void;
  /** The connection was lost: it may have committed, or not. */
  unknown(): void;
}

export const someFile = (dice: Random) => ({
  originalFilename: privateText,
  fileUrl: 'https://cdn/a.jpg',
  mimeType: 'image/jpeg',
  fileSizeBytes: dice.below(5_000_000),
});

const mostOpen = 4;

interface Entry {
  readonly id: string;
  readonly kind: 'photo' | 'item';
  /** What the file's name may be; null: there is no file. More than one when the server was lost at a commit. */
  readonly may: readonly (string | null)[];
}

/** What one writer was told is committed, of files that nobody else writes. */
export class Book {
  readonly #user: string;
  readonly #project: string;
  readonly #entries = new Map<string, Entry>();
  /** Those that it still writes. */
  readonly #open: string[] = [];
  #number = 0;

  constructor(user: string, project: string) {
    this.#user = user;
    this.#project = project;
  }

  /** A new file, another name for one, or the end of one. */
  next(dice: Random): Note {
    this.#number += 1;
    const name = `${privateNote}${this.#number}`;
    const known = this.#open.length < mostOpen || dice.chance(0.1) ? undefined : this.#open[dice.below(mostOpen)];
    const entry = known === undefined ? undefined : this.#entries.get(known);
    if (entry === undefined) {
      const kind = dice.pick(['photo', 'item'] as const);
      return this.#note({ id: dice.uuid(), kind, may: [null] }, name, (to, id) => {
        const added = { ...someFile(dice), id, originalFilename: name };
        return kind === 'photo' ? to.media.addPhoto(this.#project, added) : to.media.addMediaItem(this.#user, added);
      });
    }
    if (dice.chance(0.15)) return this.#note(entry, null, (to, id) => to.media.deleteMediaFile(id));
    return this.#note(entry, name, (to, id) => to.media.updateMediaFile(id, { originalFilename: name }));
  }

  #note(entry: Entry, name: string | null, write: (to: Repositories, id: string) => Promise<boolean>): Note {
    const { id } = entry;
    const close = () => {
      const index = this.#open.indexOf(id);
      if (index >= 0) this.#open.splice(index, 1);
    };
    return {
      async write(to) {
        if (!(await write(to, id)))
          throw new Error(
            `The file ${id} is gone, of which nobody else knows, and which may be ${entry.may.join(' or ')}`,
          );
      },
      committed: () => {
        this.#entries.set(id, { ...entry, may: [name] });
        if (name === null) close();
        else if (!this.#open.includes(id)) this.#open.push(id);
      },
      unknown: () => {
        this.#entries.set(id, { ...entry, may: [...entry.may, name] });
        close();
      },
    };
  }

  /** What is not as it was told to be, on either side. */
  async lost(pool: pg.Pool): Promise<string[]> {
    const { rows } = await pool.query<{ side: string; id: string; name: string }>(namesSql, [
      [...this.#entries.keys()],
    ]);
    const names = new Map(rows.map(({ side, id, name }) => [`${side} ${id}`, name]));
    const lost: string[] = [];
    for (const { id, kind, may } of this.#entries.values()) {
      for (const side of [kind === 'photo' ? 'photos' : 'media_items', 'media_files']) {
        const is = names.get(`${side} ${id}`) ?? null;
        if (!may.includes(is)) lost.push(`${side} ${id} is ${is}, and not ${may.join(' or ')}`);
      }
    }
    return lost;
  }
}

const namesSql = ['photos', 'media_items', 'media_files']
  .map(
    (table) =>
      `SELECT '${table}' AS side, id::text, original_filename AS name FROM ${table} WHERE id = ANY ($1::uuid[])`,
  )
  .join(' UNION ALL ');
