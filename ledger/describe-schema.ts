/**
 * A database's schema as text, the same for the same schema: what schema.sql holds, so that a change of the schema
 * can be read in a diff. For reading; the migrations are what makes it.
 */
import type pg from 'pg';
import type { Queryable } from '../platform/postgres.ts';

const TABLES = `
  SELECT c.oid::int AS oid, c.relname AS name, array_to_string(c.reloptions, ', ') AS options
  FROM pg_class c
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'migrations'
  ORDER BY c.relname`;

const COLUMNS = `
  SELECT attrelid::int AS oid, format('%I %s%s%s%s', attname, format_type(atttypid, atttypmod),
    CASE WHEN attcollation <> typcollation THEN ' COLLATE ' || (SELECT quote_ident(collname) FROM pg_collation WHERE oid = attcollation) ELSE '' END,
    CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END,
    CASE WHEN attidentity = 'a' THEN ' GENERATED ALWAYS AS IDENTITY'
      WHEN attgenerated = 's' THEN format(' GENERATED ALWAYS AS (%s) STORED', pg_get_expr(adbin, adrelid))
      ELSE coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid), '') END) AS line
  FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  WHERE attnum > 0 AND NOT attisdropped
  ORDER BY attrelid, attnum`;

const CONSTRAINTS = `
  SELECT conrelid::int AS oid, format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS line
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conrelid > 0
  ORDER BY conrelid, contype DESC, conname`;

const INDEXES = `
  SELECT pg_get_indexdef(indexrelid) || ';' AS line FROM pg_index JOIN pg_class c ON c.oid = indexrelid
  WHERE c.relnamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
  ORDER BY c.relname`;

const FUNCTIONS = `
  SELECT pg_get_functiondef(oid) || ';' AS line FROM pg_proc
  WHERE pronamespace = 'public'::regnamespace ORDER BY proname`;

const TRIGGERS = `
  SELECT pg_get_triggerdef(t.oid) || ';' AS line FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
  WHERE c.relnamespace = 'public'::regnamespace AND NOT tgisinternal ORDER BY c.relname, tgname`;

const VIEWS = `
  SELECT format(E'CREATE VIEW %I AS\n%s', viewname, definition) AS line
  FROM pg_views WHERE schemaname = 'public' ORDER BY viewname`;

const MACHINES = `
  SELECT format('-- order: %s -> %s (reserved %s, sold %s, to available %s, from held %s)', from_state, to_state,
    reserved, sold, to_available, from_held) AS line, 1 AS part, from_state, to_state, sold FROM order_transitions
  UNION ALL
  SELECT format('-- attempt: %s -> %s', from_state, to_state), 2, from_state, to_state, 0 FROM attempt_transitions
  ORDER BY part, from_state, to_state, sold`;

export async function describeSchema(db: Queryable): Promise<string> {
  const read = async <R extends pg.QueryResultRow>(text: string) => (await db.query<R>({ text })).rows;
  const lines = async (text: string) => (await read<{ line: string }>(text)).map((row) => row.line);
  const tables = await read<{ oid: number; name: string; options: string | null }>(TABLES);
  const parts = [
    ...(await read<{ oid: number; line: string }>(COLUMNS)),
    ...(await read<{ oid: number; line: string }>(CONSTRAINTS)),
  ];
  const tableTexts = tables.map(({ oid, name, options }) => {
    const body = parts.filter((part) => part.oid === oid).map((part) => `  ${part.line}`);
    return `CREATE TABLE ${name} (\n${body.join(',\n')}\n)${options ? ` WITH (${options})` : ''};`;
  });
  const sections = [
    '-- Generated from the migrations by `npm run schema`; a test compares. Not run by anybody.',
    ...tableTexts,
    (await lines(INDEXES)).join('\n'),
    ...(await lines(FUNCTIONS)),
    ...(await lines(VIEWS)),
    (await lines(TRIGGERS)).join('\n'),
    (await lines(MACHINES)).join('\n'),
  ];
  return `${sections.join('\n\n')}\n`;
}
