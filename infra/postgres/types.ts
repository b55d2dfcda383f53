import pg from 'pg';

const { builtins } = pg.types;

/** What JavaScript holds exactly: booleans, small integers, JSON; and arrays of text, booleans and small integers. */
const exact = new Set<number>([
  builtins.BOOL,
  builtins.INT2,
  builtins.INT4,
  builtins.OID,
  builtins.JSON,
  builtins.JSONB,
  1000, // boolean[]
  1005, // smallint[]
  1007, // integer[]
  1009, // text[]
  1015, // varchar[]
]);

const asText = (value: string) => value;

/**
 * Type parsers for a pool (not for the process): timestamps keep their microseconds, numeric, bigint and float their
 * digits, bytea and intervals their text. https://node-postgres.com/features/types
 */
export const textTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    exact.has(oid) ? pg.types.getTypeParser(oid, format as 'text') : asText) as typeof pg.types.getTypeParser,
};
