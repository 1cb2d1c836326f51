/**
 * The history of sales, orders' events and the sales' own together, in the order of their ids.
 *
 * EVENTS, SALE_EVENTS: $1 behind this id  $2 up to this id  $3 of this sale (null: of all)
 * FACTS, ITEMS: $1 order ids
 */
import { type Queryable, rows } from '../../platform/postgres.ts';
import { type OrderEvent, type OrderFacts, orderLine, type SaleEvent, saleLine } from './history-line.ts';

const TIME = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

// OFFSET 0: events by their ids first, then each one's order.
const EVENTS = {
  name: 'history_events',
  text: `
    SELECT e.id, o.sale_no, e.order_id, ${TIME('e.at')} AS at, e.from_state, e.to_state, e.cause, e.actor, e.detail,
      CASE WHEN e.to_state = 'refunded' AND e.from_state <> 'refunded' THEN o.restock END AS restock
    FROM (SELECT * FROM order_events WHERE id > $1 AND id <= $2 ORDER BY id OFFSET 0) AS e
    CROSS JOIN LATERAL (SELECT sale_no, restock FROM orders WHERE id = e.order_id OFFSET 0) AS o
    WHERE $3::bigint IS NULL OR o.sale_no = $3
    ORDER BY e.id`,
};

const FACTS = {
  name: 'history_facts',
  text: `
    SELECT id, seq, encode(buyer_hash, 'hex') AS buyer, encode(fingerprint, 'hex') AS fingerprint, road, currency,
      subtotal, discount, shipping, tax, total, ${TIME('reserved_at')} AS reserved_at,
      ${TIME('first_expires_at')} AS expires_at, limit_units
    FROM orders WHERE id = ANY ($1::text[])`,
};

const ITEMS = {
  name: 'history_items',
  text: `
    SELECT order_id, sku, qty, unit_price FROM order_items
    WHERE order_id = ANY ($1::text[]) ORDER BY order_id, line`,
};

const SALE_EVENTS = {
  name: 'history_sale_events',
  text: `
    SELECT id, sale_no, ${TIME('at')} AS at, kind, sku, change, total, unit_price, gate, gate_version, seq
    FROM sale_events WHERE id > $1 AND id <= $2 AND ($3::bigint IS NULL OR sale_no = $3) ORDER BY id`,
};

/** `order_id`: null for an event of the sale itself. */
export type HistoryLine = { id: number; sale_no: number; order_id: string | null; line: string };

/** All events with ids in (after, upto], of one sale or of all. */
export async function readHistory(
  db: Queryable,
  range: { after: number; upto: number; sale_no?: number },
): Promise<HistoryLine[]> {
  const values = [range.after, range.upto, range.sale_no ?? null];
  const events = await rows<OrderEvent & { sale_no: number }>(db, EVENTS, values);
  const own = await rows<SaleEvent & { sale_no: number }>(db, SALE_EVENTS, values);
  const facts = await readFacts(
    db,
    events.filter((e) => e.from_state === null).map((e) => e.order_id),
  );
  const lines: HistoryLine[] = events.map((e) => ({
    ...{ id: e.id, sale_no: e.sale_no, order_id: e.order_id },
    line: orderLine({ ...e, facts: e.from_state === null ? (facts.get(e.order_id) ?? null) : null }),
  }));
  for (const e of own) lines.push({ id: e.id, sale_no: e.sale_no, order_id: null, line: saleLine(e) });
  return own.length > 0 ? lines.sort((a, b) => a.id - b.id) : lines;
}

async function readFacts(db: Queryable, orderIds: readonly string[]): Promise<Map<string, OrderFacts>> {
  const facts = new Map<string, OrderFacts>();
  if (orderIds.length === 0) return facts;
  for (const { id, ...order } of await rows<{ id: string } & Omit<OrderFacts, 'items'>>(db, FACTS, [
    orderIds,
  ])) {
    facts.set(id, { ...order, items: [] });
  }
  type Item = { order_id: string; sku: string; qty: number; unit_price: number };
  for (const item of await rows<Item>(db, ITEMS, [orderIds])) {
    facts.get(item.order_id)?.items.push([item.sku, item.qty, item.unit_price]);
  }
  return facts;
}
