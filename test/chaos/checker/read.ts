/** Reads the evidence: the history and the provider's record from their files, the ledger with SQL of its own. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import pg from 'pg';
import type { LedgerRows, Payment } from './evidence.ts';
import type { Line } from './lines.ts';

export async function readHistory(path: string): Promise<Line[]> {
  const lines: Line[] = [];
  for await (const text of createInterface({ input: createReadStream(path) })) {
    if (text !== '') lines.push(JSON.parse(text) as Line);
  }
  return lines;
}

/** Each payment as its last line says. A line torn by a crash is none. */
export async function readPayments(path: string): Promise<Payment[]> {
  const payments = new Map<string, Payment>();
  for await (const text of createInterface({ input: createReadStream(path) })) {
    const line = parsed(text);
    if (line?.kind === 'payment') payments.set(line.payment.id, line.payment);
  }
  return [...payments.values()];
}

function parsed(text: string): { kind: string; payment: Payment } | undefined {
  try {
    return JSON.parse(text) as { kind: string; payment: Payment };
  } catch {
    return undefined;
  }
}

const SALES = `
  SELECT s.id AS sale, s.gate, c.fenced_reason, c.seq::float8, c.applied_n::float8, c.acked_n::float8, c.sealed_n::float8,
    (SELECT count(*) FROM movements m WHERE m.sale_no = s.sale_no AND m.n IS NULL)::int AS unsealed
  FROM sales s JOIN cursors c USING (sale_no) ORDER BY s.sale_no`;

const SKUS = `
  SELECT s.id AS sale, k.sku, k.total::float8, k.reserved::float8, k.sold::float8
  FROM skus k JOIN sales s USING (sale_no)`;

const ORDERS = `
  WITH lines AS (
    SELECT order_id, json_agg(json_build_object('sku', sku, 'qty', qty, 'unit_price', unit_price)) AS items
    FROM order_items GROUP BY order_id
  ), parts AS (
    SELECT order_id, coalesce(sum(amount) FILTER (WHERE state = 'done'), 0)::float8 AS done,
      count(*) FILTER (WHERE state = 'wanted')::int AS open
    FROM refunds GROUP BY order_id
  ), tries AS (
    SELECT order_id, count(*) FILTER (WHERE state IN ('pending', 'unknown', 'authorized')
      OR (state = 'captured' AND reversal_wanted))::int AS unfinished
    FROM attempts GROUP BY order_id
  )
  SELECT o.id, s.id AS sale, o.buyer, o.contact ->> 'email' AS email, o.state, o.restock, o.currency,
    o.total::float8, o.subtotal::float8, o.seq::float8, l.items,
    coalesce(p.done, 0) AS refunds_done, coalesce(p.open, 0) AS refunds_open,
    coalesce(t.unfinished, 0) AS unfinished_attempts
  FROM orders o JOIN sales s USING (sale_no) JOIN lines l ON l.order_id = o.id
  LEFT JOIN parts p ON p.order_id = o.id LEFT JOIN tries t ON t.order_id = o.id`;

/** Without those that give back what Redis took a second time for an order that the ledger had already. */
const MOVEMENTS = `
  SELECT m.order_id, s.id AS sale, m.sku, sum(m.to_available)::float8 AS to_available, sum(m.from_held)::float8 AS from_held
  FROM movements m JOIN sales s USING (sale_no) WHERE m.cause IS DISTINCT FROM 'replayed' GROUP BY 1, 2, 3`;

const EVENTS = 'SELECT order_id, from_state, to_state, cause FROM order_events ORDER BY id';

/** One snapshot of everything. */
export function readLedger(url: string): Promise<LedgerRows> {
  return withClient(url, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const rows = async (text: string) => (await client.query(text)).rows;
    const read = {
      sales: await rows(SALES),
      skus: await rows(SKUS),
      orders: await rows(ORDERS),
      movements: await rows(MOVEMENTS),
      events: await rows(EVENTS),
    };
    await client.query('COMMIT');
    return read as LedgerRows;
  });
}

const UNDER_WAY = `
  SELECT (SELECT count(*) FROM cursors WHERE fenced_reason IS NOT NULL OR acked_n <> sealed_n)::int AS sales,
    (SELECT count(*) FROM movements WHERE n IS NULL)::int AS movements,
    (SELECT count(*) FROM orders WHERE state IN ('reserved', 'authorized'))::int AS orders,
    (SELECT count(*) FROM attempts WHERE state IN ('pending', 'unknown', 'authorized')
      OR (state = 'captured' AND reversal_wanted))::int AS payments,
    (SELECT count(*) FROM refunds WHERE state = 'wanted')::int AS refunds,
    (SELECT count(*) FROM psp_events WHERE settled_at IS NULL)::int AS events,
    (SELECT count(*) FROM shipments s JOIN orders o ON o.id = s.order_id WHERE o.state = 'confirmed')::int AS parcels`;

/** Counts of what is left to do, for whoever waits for the end. */
export function readUnderWay(url: string): Promise<Record<string, number>> {
  return withClient(url, async (client) => (await client.query(UNDER_WAY)).rows[0] as Record<string, number>);
}

/** Which of these orders the ledger has. */
export function readSaved(url: string, ids: readonly string[]): Promise<Set<string>> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ id: string }>('SELECT id FROM orders WHERE id = ANY($1)', [ids]);
    return new Set(rows.map(({ id }) => id));
  });
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 3_000,
    query_timeout: 120_000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.end().catch(() => {});
  }
}
