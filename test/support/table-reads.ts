/**
 * How much a statement reads, so that a test can hold it against what it takes: rows and index entries of the tables
 * named, whoever reads them. Other tables do not count: autovacuum and other sessions tell of theirs when they like.
 */
import type { Pool } from '../../platform/postgres.ts';

/**
 * From now on the server's own work leaves `tables` alone, so that what is read of them is what statements read, and
 * what the planner believes of them is what it was last told. An autovacuum worker summarizes a BRIN index whatever is
 * said of its table, and what it reads of the table for that counts like anybody's reading.
 */
export async function undisturbed(db: Pool, tables: readonly string[]): Promise<void> {
  for (const table of tables) await db.query(`ALTER TABLE ${table} SET (autovacuum_enabled = off)`);
  const { rows } = await db.query<{ name: string }>({
    text: `SELECT c.oid::regclass AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
           WHERE i.indrelid = ANY ($1::text[]::regclass[]) AND 'autosummarize=on' = ANY (c.reloptions)`,
    values: [tables],
  });
  for (const { name } of rows) await db.query(`ALTER INDEX ${name} SET (autosummarize = off)`);
}

/** What `work` read of each table if that is more than `most` all together, else undefined. `db`: one connection. */
export async function readsOver(
  most: number,
  db: Pool,
  tables: readonly string[],
  work: () => Promise<unknown>,
): Promise<Record<string, number> | undefined> {
  const before = await counted(db, tables);
  await work();
  const after = await counted(db, tables);
  const reads = tables.map((table) => (after.get(table) ?? 0) - (before.get(table) ?? 0));
  if (reads.reduce((sum, of_table) => sum + of_table, 0) <= most) return undefined;
  return Object.fromEntries(tables.map((table, i) => [table, reads[i] ?? 0]));
}

async function counted(db: Pool, tables: readonly string[]): Promise<Map<string, number>> {
  await db.query('SELECT pg_stat_force_next_flush()');
  await db.query('SELECT pg_stat_clear_snapshot()');
  const { rows } = await db.query<{ name: string; reads: number }>({
    text: `SELECT t.relname AS name, (t.seq_tup_read
             + (SELECT coalesce(sum(i.idx_tup_read), 0) FROM pg_stat_user_indexes i WHERE i.relid = t.relid))::bigint AS reads
           FROM pg_stat_user_tables t WHERE t.relname = ANY ($1)`,
    values: [tables],
  });
  if (rows.length !== tables.length) throw new Error(`not all of these are tables: ${tables.join(', ')}`);
  return new Map(rows.map(({ name, reads }) => [name, reads]));
}
