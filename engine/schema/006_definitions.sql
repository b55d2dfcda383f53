-- What a table is besides its columns and rows, as statements that give it back: what CREATE TABLE (LIKE … INCLUDING ALL)
-- leaves out (foreign keys, triggers, owner, privileges, …) or gives other names (constraints, indexes). A migration's
-- backup records it, and its rollback executes it. Nothing here names a table of any migration.

CREATE TABLE lockstep.definition (
  relation text NOT NULL,
  -- In the order in which they are to be executed.
  ordinal integer NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  statement text NOT NULL,
  PRIMARY KEY (relation, ordinal)
);

-- GRANT statements for an ACL; columns and tables only. NULL when the object has the privileges it was born with.
CREATE FUNCTION lockstep.grants_of(acl aclitem[], object text, columns text DEFAULT '')
RETURNS SETOF text
LANGUAGE sql STABLE AS $$
  SELECT format('GRANT %s%s ON %s TO %s%s', privilege_type, columns, object,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM aclexplode(acl) WITH ORDINALITY AS a (grantor, grantee, privilege_type, is_grantable, position)
  ORDER BY position
$$;

CREATE FUNCTION lockstep.comment_on(kind text, object text, description text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT format('COMMENT ON %s %s IS %L', kind, object, description) WHERE description IS NOT NULL
$$;

-- A trigger as it is, disabled or not; an index; a constraint: each with its comment.
CREATE FUNCTION lockstep.trigger_statements(trigger_oid oid) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
  SELECT statement
  FROM pg_trigger g, LATERAL (VALUES
    (1, pg_get_triggerdef(g.oid)),
    (2, CASE g.tgenabled
      WHEN 'D' THEN format('ALTER TABLE %s DISABLE TRIGGER %I', g.tgrelid::regclass, g.tgname)
      WHEN 'R' THEN format('ALTER TABLE %s ENABLE REPLICA TRIGGER %I', g.tgrelid::regclass, g.tgname)
      WHEN 'A' THEN format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', g.tgrelid::regclass, g.tgname)
    END),
    (3, lockstep.comment_on('TRIGGER', format('%I ON %s', g.tgname, g.tgrelid::regclass), obj_description(g.oid, 'pg_trigger')))
  ) AS part (position, statement)
  WHERE g.oid = trigger_oid AND statement IS NOT NULL ORDER BY position
$$;

CREATE FUNCTION lockstep.index_statements(index_oid oid) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
  SELECT statement
  FROM (VALUES
    (1, pg_get_indexdef(index_oid)),
    (2, lockstep.comment_on('INDEX', index_oid::regclass::text, obj_description(index_oid, 'pg_class')))
  ) AS part (position, statement)
  WHERE statement IS NOT NULL ORDER BY position
$$;

CREATE FUNCTION lockstep.constraint_statements(constraint_oid oid) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
  SELECT statement
  FROM pg_constraint c, LATERAL (VALUES
    (1, format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))),
    (2, lockstep.comment_on('CONSTRAINT', format('%I ON %s', c.conname, c.conrelid::regclass), obj_description(c.oid, 'pg_constraint')))
  ) AS part (position, statement)
  WHERE c.oid = constraint_oid AND statement IS NOT NULL ORDER BY position
$$;

-- Everything about one table that CREATE TABLE (LIKE it INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING
-- STATISTICS) does not give back. To be read with an empty search_path, so that every name has its schema.
CREATE FUNCTION lockstep.definitions_of(relation regclass)
RETURNS TABLE (kind text, name text, statement text)
LANGUAGE sql STABLE AS $$
  WITH facts AS MATERIALIZED (SELECT * FROM pg_class WHERE oid = relation),
  parts (rank, kind, name, statement) AS (
    SELECT 10, 'constraint', c.conname::text, s.statement
    FROM pg_constraint c, LATERAL lockstep.constraint_statements(c.oid) AS s (statement)
    WHERE c.conrelid = relation AND c.contype IN ('p', 'u', 'x', 'c')
    UNION ALL
    SELECT 20, 'index', i.indexrelid::regclass::text, s.statement
    FROM pg_index i, LATERAL lockstep.index_statements(i.indexrelid) AS s (statement)
    WHERE i.indrelid = relation AND i.indisvalid AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.conrelid = relation)
    UNION ALL
    SELECT 21, 'index', i.indexrelid::regclass::text, format('ALTER TABLE %s CLUSTER ON %I', relation, ic.relname)
    FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid WHERE i.indrelid = relation AND i.indisclustered
    UNION ALL
    SELECT 22, 'replica identity', 'replica identity', format('ALTER TABLE %s REPLICA IDENTITY %s', relation, CASE facts.relreplident
        WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE 'USING INDEX ' || quote_ident(ic.relname) END)
    FROM facts LEFT JOIN pg_index i ON i.indrelid = relation AND i.indisreplident LEFT JOIN pg_class ic ON ic.oid = i.indexrelid
    WHERE facts.relreplident IN ('f', 'n') OR (facts.relreplident = 'i' AND ic.oid IS NOT NULL)
    UNION ALL
    SELECT 23, 'statistics', e.stxname::text, pg_get_statisticsobjdef(e.oid) FROM pg_statistic_ext e WHERE e.stxrelid = relation
    UNION ALL
    SELECT 24, 'statistics target', a.attname::text, format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', relation, a.attname, a.attstattarget)
    FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attstattarget >= 0
    UNION ALL
    SELECT 25, 'column options', a.attname::text, format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', relation, a.attname, array_to_string(a.attoptions, ', '))
    FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attoptions IS NOT NULL
    UNION ALL
    SELECT 26, 'storage parameters', 'storage parameters', format('ALTER TABLE %s SET (%s)', relation, array_to_string(facts.reloptions, ', '))
    FROM facts WHERE facts.reloptions IS NOT NULL
    UNION ALL
    SELECT 30, 'identity', q.relname::text, s.statement
    FROM pg_depend d JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S'
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    CROSS JOIN LATERAL pg_sequence_last_value(q.oid) AS reached
    CROSS JOIN LATERAL (VALUES
      (format('SELECT lockstep.rename_identity(%L, %L, %L, %L)', relation, a.attname, q.relname, reached))) AS s (statement)
    WHERE d.refobjid = relation AND d.deptype = 'i' AND d.classid = 'pg_class'::regclass
    UNION ALL
    SELECT 31, 'sequence', q.oid::regclass::text, format('ALTER SEQUENCE %s OWNED BY %s.%I', q.oid::regclass, relation, a.attname)
    FROM pg_depend d JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S'
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.refobjid = relation AND d.deptype = 'a' AND d.classid = 'pg_class'::regclass
    UNION ALL
    SELECT 40, 'foreign key', c.conname::text, s.statement
    FROM pg_constraint c, LATERAL lockstep.constraint_statements(c.oid) AS s (statement)
    WHERE c.conrelid = relation AND c.contype = 'f' AND c.conparentid = 0
    UNION ALL
    SELECT 41, 'foreign key to it', format('%s.%I', c.conrelid::regclass, c.conname), s.statement
    FROM pg_constraint c, LATERAL lockstep.constraint_statements(c.oid) AS s (statement)
    WHERE c.confrelid = relation AND c.conrelid <> relation AND c.contype = 'f' AND c.conparentid = 0
    UNION ALL
    SELECT 50, 'rule', r.rulename::text, pg_get_ruledef(r.oid) FROM pg_rewrite r WHERE r.ev_class = relation
    UNION ALL
    SELECT 60, 'trigger', g.tgname::text, s.statement
    FROM pg_trigger g, LATERAL lockstep.trigger_statements(g.oid) AS s (statement)
    WHERE g.tgrelid = relation AND NOT g.tgisinternal
    UNION ALL
    SELECT 70, 'policy', p.polname::text, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, relation,
      CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
      CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
      (SELECT string_agg(CASE member WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(member)) END, ', ') FROM unnest(p.polroles) AS member),
      coalesce(' USING (' || pg_get_expr(p.polqual, relation) || ')', ''),
      coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, relation) || ')', ''))
    FROM pg_policy p WHERE p.polrelid = relation
    UNION ALL
    SELECT 71, 'row security', 'row security', format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation) FROM facts WHERE facts.relrowsecurity
    UNION ALL
    SELECT 72, 'row security', 'row security', format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation) FROM facts WHERE facts.relforcerowsecurity
    UNION ALL
    -- LIKE copies the comments of columns, and not that of the table.
    SELECT 80, 'comment', 'comment', lockstep.comment_on('TABLE', relation::text, obj_description(relation, 'pg_class'))
    WHERE obj_description(relation, 'pg_class') IS NOT NULL
    UNION ALL
    SELECT 90, 'owner', 'owner', format('ALTER TABLE %s OWNER TO %I', relation, pg_get_userbyid(facts.relowner)) FROM facts
    UNION ALL
    SELECT 91, 'privilege', 'table', s.statement FROM facts, LATERAL lockstep.grants_of(facts.relacl, relation::text) AS s (statement)
    UNION ALL
    SELECT 92, 'privilege', a.attname::text, s.statement
    FROM pg_attribute a, LATERAL lockstep.grants_of(a.attacl, relation::text, format(' (%I)', a.attname)) AS s (statement)
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    -- Lockstep's own publications go with the migration and come back with it.
    SELECT 95, 'publication', p.pubname::text, format('ALTER PUBLICATION %I ADD TABLE ONLY %s%s%s', p.pubname, relation,
      (SELECT ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')' FROM pg_attribute a
       WHERE a.attrelid = relation AND a.attnum = ANY (r.prattrs)),
      coalesce(' WHERE (' || pg_get_expr(r.prqual, relation) || ')', ''))
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
    WHERE r.prrelid = relation AND p.pubname NOT IN ('lockstep_forward', 'lockstep_reverse')
  )
  SELECT kind, name, statement FROM parts WHERE statement IS NOT NULL ORDER BY rank, name, statement LIKE 'COMMENT %', statement LIKE 'ALTER TABLE % TRIGGER %'
$$;

-- What one column is besides its type: what DROP COLUMN takes along, or refuses to.
CREATE FUNCTION lockstep.definitions_of_column(relation regclass, column_name name)
RETURNS TABLE (kind text, name text, statement text)
LANGUAGE sql STABLE AS $$
  WITH col AS MATERIALIZED (
    SELECT a.*, pg_get_expr(d.adbin, d.adrelid) AS default_expression
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = relation AND a.attname = column_name
  ), depending AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_depend d JOIN col ON d.refobjid = relation AND d.refobjsubid = col.attnum
    WHERE d.refclassid = 'pg_class'::regclass AND d.deptype IN ('n', 'a')
  ), parts (rank, kind, name, statement) AS (
    SELECT 1, 'column', col.attname::text, format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS %I %s%s%s%s', relation, col.attname,
      format_type(col.atttypid, col.atttypmod),
      CASE WHEN col.attcollation NOT IN (0, (SELECT typcollation FROM pg_type WHERE oid = col.atttypid)) THEN ' COLLATE ' || col.attcollation::regcollation::text ELSE '' END,
      CASE WHEN col.default_expression IS NOT NULL AND col.attgenerated = '' THEN ' DEFAULT ' || col.default_expression ELSE '' END,
      CASE WHEN col.attnotnull THEN ' NOT NULL' ELSE '' END)
    FROM col
    UNION ALL
    SELECT 10, 'constraint', c.conname::text, s.statement
    FROM pg_constraint c JOIN depending d ON d.classid = 'pg_constraint'::regclass AND d.objid = c.oid,
      LATERAL lockstep.constraint_statements(c.oid) AS s (statement)
    WHERE c.conrelid = relation AND c.contype IN ('p', 'u', 'x', 'c', 'f')
    UNION ALL
    SELECT 20, 'index', i.indexrelid::regclass::text, s.statement
    FROM pg_index i JOIN depending d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid,
      LATERAL lockstep.index_statements(i.indexrelid) AS s (statement)
    WHERE i.indrelid = relation AND i.indisvalid AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.conrelid = relation)
    UNION ALL
    SELECT 24, 'statistics target', col.attname::text, format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', relation, col.attname, col.attstattarget)
    FROM col WHERE col.attstattarget >= 0
    UNION ALL
    SELECT 25, 'statistics', e.stxname::text, pg_get_statisticsobjdef(e.oid)
    FROM pg_statistic_ext e JOIN depending d ON d.classid = 'pg_statistic_ext'::regclass AND d.objid = e.oid
    UNION ALL
    SELECT 60, 'trigger', g.tgname::text, s.statement
    FROM pg_trigger g JOIN depending d ON d.classid = 'pg_trigger'::regclass AND d.objid = g.oid,
      LATERAL lockstep.trigger_statements(g.oid) AS s (statement)
    WHERE g.tgrelid = relation AND NOT g.tgisinternal
    UNION ALL
    SELECT 80, 'comment', col.attname::text, lockstep.comment_on('COLUMN', format('%s.%I', relation, col.attname), col_description(relation, col.attnum))
    FROM col WHERE col_description(relation, col.attnum) IS NOT NULL
    UNION ALL
    SELECT 92, 'privilege', col.attname::text, s.statement
    FROM col, LATERAL lockstep.grants_of(col.attacl, relation::text, format(' (%I)', col.attname)) AS s (statement)
  )
  SELECT kind, name, statement FROM parts ORDER BY rank, name, statement LIKE 'COMMENT %', statement LIKE 'ALTER TABLE % TRIGGER %'
$$;

-- Records what a table is; `columns` NULL, or what these columns of it are. Replaces what was recorded under that name.
CREATE FUNCTION lockstep.record_definitions(relation regclass, columns name[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  recorded bigint;
BEGIN
  DELETE FROM lockstep.definition d WHERE d.relation = record_definitions.relation::text;
  INSERT INTO lockstep.definition (relation, ordinal, kind, name, statement)
  SELECT record_definitions.relation::text, pg_catalog.row_number() OVER (), found.kind, found.name, found.statement
  FROM (
    SELECT f.* FROM lockstep.definitions_of(record_definitions.relation) f WHERE record_definitions.columns IS NULL
    UNION ALL
    SELECT f.* FROM pg_catalog.unnest(record_definitions.columns) AS c (column_name)
      CROSS JOIN LATERAL lockstep.definitions_of_column(record_definitions.relation, c.column_name) f
  ) AS found;
  -- An object on several of the columns was found for each of them: once is enough.
  DELETE FROM lockstep.definition d USING lockstep.definition earlier
  WHERE d.relation = record_definitions.relation::text AND earlier.relation = d.relation
    AND earlier.statement = d.statement AND earlier.ordinal < d.ordinal;
  SELECT pg_catalog.count(*) INTO recorded FROM lockstep.definition d WHERE d.relation = record_definitions.relation::text;
  RETURN recorded;
END $$;

-- Records what a schema is besides what is in it.
CREATE FUNCTION lockstep.record_schema(schema_name name) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  recorded bigint;
  object text := pg_catalog.format('SCHEMA %I', schema_name);
BEGIN
  DELETE FROM lockstep.definition d WHERE d.relation = 'schema ' || schema_name;
  INSERT INTO lockstep.definition (relation, ordinal, kind, name, statement)
  SELECT 'schema ' || schema_name, pg_catalog.row_number() OVER (ORDER BY part.position), part.kind, schema_name, part.statement
  FROM pg_catalog.pg_namespace n CROSS JOIN LATERAL (
    SELECT 1 AS position, 'schema' AS kind, 'CREATE ' || object AS statement
    UNION ALL
    SELECT 2, 'owner', pg_catalog.format('ALTER %s OWNER TO %I', object, pg_catalog.pg_get_userbyid(n.nspowner))
    UNION ALL
    SELECT 3, 'privilege', s.statement FROM lockstep.grants_of(n.nspacl, object) AS s (statement)
    UNION ALL
    SELECT 4, 'comment', lockstep.comment_on('SCHEMA', pg_catalog.quote_ident(schema_name), pg_catalog.obj_description(n.oid, 'pg_namespace'))
    WHERE pg_catalog.obj_description(n.oid, 'pg_namespace') IS NOT NULL
  ) AS part
  WHERE n.nspname = schema_name;
  GET DIAGNOSTICS recorded = ROW_COUNT;
  RETURN recorded;
END $$;

-- Records the views of a schema, in the order in which they can be made again, with comments and privileges.
CREATE FUNCTION lockstep.record_views(schema_name name) RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  recorded bigint;
BEGIN
  DELETE FROM lockstep.definition d WHERE d.relation = 'views of ' || schema_name;
  WITH RECURSIVE views AS (
    SELECT c.oid, c.relacl, c.relowner FROM pg_catalog.pg_class c WHERE c.relnamespace = schema_name::regnamespace AND c.relkind = 'v'
  ), reads AS (
    SELECT DISTINCT r.ev_class AS view, d.refobjid AS read
    FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> r.ev_class
      AND r.ev_class IN (SELECT oid FROM views) AND d.refobjid IN (SELECT oid FROM views)
  ), depths AS (
    SELECT oid AS view, 0 AS depth FROM views
    UNION
    SELECT reads.view, depths.depth + 1 FROM depths JOIN reads ON reads.read = depths.view
  ), ordered AS (
    SELECT v.oid, v.relacl, v.relowner, pg_catalog.max(depths.depth) AS depth
    FROM views v JOIN depths ON depths.view = v.oid GROUP BY v.oid, v.relacl, v.relowner
  )
  INSERT INTO lockstep.definition (relation, ordinal, kind, name, statement)
  SELECT 'views of ' || schema_name, pg_catalog.row_number() OVER (ORDER BY o.depth, o.oid, part.position),
         part.kind, o.oid::regclass::text, part.statement
  FROM ordered o CROSS JOIN LATERAL (
    SELECT 1 AS position, 'view' AS kind, pg_catalog.format('CREATE VIEW %s AS %s', o.oid::regclass, pg_catalog.pg_get_viewdef(o.oid)) AS statement
    UNION ALL
    SELECT 2, 'owner', pg_catalog.format('ALTER VIEW %s OWNER TO %I', o.oid::regclass, pg_catalog.pg_get_userbyid(o.relowner))
    UNION ALL
    SELECT 3, 'privilege', s.statement FROM lockstep.grants_of(o.relacl, o.oid::regclass::text) AS s (statement)
    UNION ALL
    SELECT 4, 'comment', lockstep.comment_on('VIEW', o.oid::regclass::text, pg_catalog.obj_description(o.oid, 'pg_class'))
    WHERE pg_catalog.obj_description(o.oid, 'pg_class') IS NOT NULL
  ) AS part;
  GET DIAGNOSTICS recorded = ROW_COUNT;
  RETURN recorded;
END $$;

-- Drops the recorded views of a schema, those that read others first. A view that is not recorded, because it came
-- later or belongs to someone else, stands in the way and is named by the server.
CREATE FUNCTION lockstep.drop_recorded_views(schema_name name) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  view_name text;
BEGIN
  FOR view_name IN
    SELECT d.name FROM lockstep.definition d WHERE d.relation = 'views of ' || schema_name AND d.kind = 'view' ORDER BY d.ordinal DESC
  LOOP
    EXECUTE pg_catalog.format('DROP VIEW IF EXISTS %s', view_name);
  END LOOP;
END $$;

-- Drops those objects on recorded columns that would keep the columns from being dropped.
CREATE FUNCTION lockstep.drop_recorded_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  trigger_name text;
BEGIN
  FOR trigger_name IN
    SELECT DISTINCT d.name FROM lockstep.definition d WHERE d.relation = drop_recorded_triggers.relation::text AND d.kind = 'trigger'
  LOOP
    EXECUTE pg_catalog.format('DROP TRIGGER IF EXISTS %I ON %s', trigger_name, drop_recorded_triggers.relation);
  END LOOP;
END $$;

-- A table's own sequences would go with it, and defaults of its backup with them.
CREATE FUNCTION lockstep.release_recorded_sequences(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  sequence_name text;
BEGIN
  FOR sequence_name IN
    SELECT d.name FROM lockstep.definition d WHERE d.relation = release_recorded_sequences.relation::text AND d.kind = 'sequence'
  LOOP
    EXECUTE pg_catalog.format('ALTER SEQUENCE %s OWNED BY NONE', sequence_name);
  END LOOP;
END $$;

-- Foreign keys of other tables that refer to a recorded one.
CREATE FUNCTION lockstep.drop_recorded_references(relation regclass) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  reference record;
BEGIN
  FOR reference IN
    SELECT c.conrelid::regclass AS child, c.conname FROM lockstep.definition d
    JOIN pg_catalog.pg_constraint c ON c.confrelid = drop_recorded_references.relation AND pg_catalog.format('%s.%I', c.conrelid::regclass, c.conname) = d.name
    WHERE d.relation = drop_recorded_references.relation::text AND d.kind = 'foreign key to it' AND d.statement LIKE 'ALTER TABLE %'
  LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', reference.child, reference.conname);
  END LOOP;
END $$;

-- Executes what was recorded, in order; of these kinds, or of all but those. A publication that is gone, or a
-- role, is passed over with a NOTICE.
CREATE FUNCTION lockstep.execute_definitions(recorded_as text, of_kinds text[] DEFAULT NULL, but_kinds text[] DEFAULT '{}') RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  definition lockstep.definition;
  executed bigint := 0;
BEGIN
  FOR definition IN
    SELECT * FROM lockstep.definition d
    WHERE d.relation = recorded_as AND (of_kinds IS NULL OR d.kind = ANY (of_kinds)) AND d.kind <> ALL (but_kinds)
    ORDER BY d.ordinal
  LOOP
    BEGIN
      EXECUTE definition.statement;
      executed := executed + 1;
    EXCEPTION WHEN undefined_object THEN
      IF definition.kind NOT IN ('publication', 'privilege', 'owner') THEN
        RAISE;
      END IF;
      RAISE NOTICE 'left out: % (%)', definition.statement, SQLERRM;
    END;
  END LOOP;
  IF executed = 0 THEN
    RAISE EXCEPTION 'nothing is recorded of %', recorded_as USING ERRCODE = 'no_data_found';
  END IF;
  RETURN executed;
END $$;

-- The sequence of an identity column has a name of its own making after CREATE TABLE (LIKE …), and begins anew.
CREATE FUNCTION lockstep.rename_identity(relation regclass, column_name text, sequence_name text, reached bigint) RETURNS void
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  present regclass := pg_catalog.pg_get_serial_sequence(relation::text, column_name);
BEGIN
  IF reached IS NOT NULL THEN
    PERFORM pg_catalog.setval(present, reached);
  END IF;
  IF (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = present) <> sequence_name THEN
    EXECUTE pg_catalog.format('ALTER SEQUENCE %s RENAME TO %I', present, sequence_name);
  END IF;
END $$;

-- Copies rows between two tables of the same columns: generated columns are left to the target, identity values are kept.
-- `condition`: SQL about a row `b` of the source.
CREATE FUNCTION lockstep.copy_rows(source regclass, target regclass, condition text DEFAULT 'true') RETURNS bigint
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
  columns text;
  copied bigint;
BEGIN
  SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
  EXECUTE pg_catalog.format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM %3$s b WHERE %4$s', target, columns, source, condition);
  GET DIAGNOSTICS copied = ROW_COUNT;
  RETURN copied;
END $$;
