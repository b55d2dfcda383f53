/** Temporary objects of whoever writes, which the server looks for first where a name is not qualified. */
import { expect, test } from 'vitest';
import { startLibrary } from './world.ts';

test('a guard does not take a temporary table for a catalog, and a witness runs nobody else’s code as the owner', async () => {
  await using library = await startLibrary();
  await library.arm();
  await library.validate();
  expect(await library.change('cutover')).toMatchObject({ outcome: 'switched' });
  const { database } = library;
  const role = `writer_of_${database.name}`;
  await database.pool.query(`
    CREATE ROLE ${role}; GRANT USAGE ON SCHEMA library TO ${role};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA library TO ${role}`);
  const writer = await database.client();
  try {
    await writer.query(`
      SET ROLE ${role};
      CREATE TEMP TABLE mine (); CREATE TEMP TABLE pg_namespace (oid pg_catalog.oid, nspname pg_catalog.name);
      CREATE TEMP TABLE pg_class (oid pg_catalog.oid, relnamespace pg_catalog.oid, relname pg_catalog.name);
      INSERT INTO pg_temp.pg_namespace VALUES (1, 'lockstep');
      INSERT INTO pg_temp.pg_class SELECT 'pg_temp.mine'::pg_catalog.regclass, 1, 'in_flight';
      SET lockstep.applier = 'on'`);
    await expect(writer.query("UPDATE library.loans SET note = 'x'")).rejects.toMatchObject({ code: 'LS001' });

    await writer.query(`
      RESET lockstep.applier; DROP TABLE pg_temp.pg_class, pg_temp.pg_namespace;
      CREATE TEMP TABLE ran (as_whom pg_catalog.text);
      GRANT INSERT ON ran TO PUBLIC;
      CREATE FUNCTION pg_temp.spy(pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE plpgsql
        AS 'BEGIN INSERT INTO pg_temp.ran VALUES (current_user); RETURN true; END';
      CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.spy(VALUE))`);
    await writer.query("INSERT INTO library.people (id, name) VALUES (901, 'x')");
    expect((await writer.query('SELECT * FROM pg_temp.ran')).rows).toEqual([]);
  } finally {
    await writer.query('RESET ROLE; DISCARD TEMP').catch(() => undefined);
    await database.pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});
