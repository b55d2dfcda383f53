/**
 * SQL for how VARCHAR(n) stores a text: excess spaces are dropped. Any other excess is refused there, and kept here, so
 * that legacy's answer is whole. https://www.postgresql.org/docs/current/datatype-character.html
 */
export function stored(value: string, length: number): string {
  return `CASE WHEN length(${value}) > ${length} AND rtrim(substr(${value}, ${length + 1}), ' ') = '' THEN left(${value}, ${length}) ELSE ${value} END`;
}
