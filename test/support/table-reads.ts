/**
 * How much a statement reads, so that a test can hold it against what it takes: rows and index entries of the tables
 * named, whoever reads them. Other tables do not count: autovacuum and other sessions tell of theirs when they like.
 */
import type { Pool } from '../../platform/postgres.ts';

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
