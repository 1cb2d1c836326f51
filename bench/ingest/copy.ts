/**
 * The denominator of ingest: the very rows that it wrote, copied in. The server has written them into files of its own in
 * COPY's binary format and reads them from there, in one transaction: no client, no network, one commit, nothing to decode.
 *
 * All indexes, checks, generated columns and triggers are in place, but one: the trigger that writes an order's first event
 * is off, because these events are copied like the rest. Stock counters and the cursor, a row or two, are left out.
 */
import pg from 'pg';

/** All tables that ingest adds rows to. */
const TABLES = ['orders', 'order_items', 'order_events', 'pgboss.job'] as const;

export type RowCounts = Readonly<Record<(typeof TABLES)[number], number>>;

/** Writes the files. In the order in which the rows lie, which is the one in which they were written. */
export function writeFiles(database_url: string): Promise<RowCounts> {
  return withClient(database_url, (client) =>
    eachTable(client, (table, columns, file) => `COPY (SELECT ${columns} FROM ${table}) TO ${file} BINARY`),
  );
}

export type Copied = { counts: RowCounts; seconds: number; cpu_seconds: number };

/**
 * Reads them into another database of the same cluster. `cpuSeconds`: of Postgres so far; asked while the connection is
 * there, because what a process has used that is just ending is for a moment nowhere to be read.
 */
export function copyFiles(database_url: string, cpuSeconds: () => number): Promise<Copied> {
  return withClient(database_url, async (client) => {
    await client.query('ALTER TABLE orders DISABLE TRIGGER orders_inserted');
    const used = cpuSeconds();
    const begun = performance.now();
    await client.query('BEGIN');
    const counts = await eachTable(
      client,
      (table, columns, file) => `COPY ${table} (${columns}) FROM ${file} BINARY`,
    );
    await client.query('COMMIT');
    const seconds = (performance.now() - begun) / 1_000;
    return { counts, seconds, cpu_seconds: cpuSeconds() - used };
  });
}

type Command = (table: string, columns: string, file: string) => string;

async function eachTable(client: pg.Client, command: Command): Promise<RowCounts> {
  const counts: [string, number][] = [];
  for (const table of TABLES) {
    const { rows } = await client.query<{ columns: string; file: string }>(
      `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns,
         quote_literal(current_setting('data_directory') || '/bench-' || $1) AS file
       FROM pg_attribute
       WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`,
      [table],
    );
    const { columns = '', file = '' } = rows[0] ?? {};
    const { rowCount } = await client.query(command(table, columns, file));
    counts.push([table, rowCount ?? 0]);
  }
  return Object.fromEntries(counts) as RowCounts;
}

async function withClient<T>(database_url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: database_url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
