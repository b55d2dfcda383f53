/**
 * Changes as JSON that jsonb_populate_record takes: names of columns instead of names of fields. A field that is left out
 * is not in it, and keeps the value that the row has; null is NULL.
 *
 * @param columns the column for each field that may be changed; other fields are ignored.
 */
export function columnsOf(changes: object, columns: Readonly<Record<string, string>>): string {
  const named = Object.entries(changes).flatMap(([field, value]) => {
    const column = columns[field];
    return column === undefined || value === undefined ? [] : [[column, value]];
  });
  return JSON.stringify(Object.fromEntries(named));
}

/** `metadata` as a parameter; without any it is an empty object, as the column's default. */
export function metadataText(metadata: unknown): string {
  return JSON.stringify(metadata ?? {});
}
