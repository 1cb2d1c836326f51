/**
 * Orders and their items as ingest writes them, in bulk: one array a column.
 *
 * ORDERS: $1 sale_no  $2 tenant  $3 currency, then columns: $4 ids  $5 buyers  $6 buyer hashes
 *   $7 fingerprints  $8 states  $9 roads  $10 subtotals  $11 discounts  $12 shippings  $13 taxes
 *   $14 totals  $15 reserved at  $16 first told deadlines (ms since 1970, Redis clock)  $17 ms left
 *   $18 payment methods  $19 shipping addresses  $20 contacts (JSON)  $21 limit units  $22 stream positions
 *   $23 causes
 * ITEMS: columns: $1 order ids  $2 lines  $3 SKUs  $4 quantities  $5 unit prices
 */
import type { Contact } from '../../domain/contact.ts';
import type { PaymentMethod, PricedLine, Road, ShippingAddress } from '../../domain/types.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';

const INSERT_ORDERS = {
  name: 'insert_orders',
  text: `
    INSERT INTO orders (id, sale_no, tenant, buyer, buyer_hash, fingerprint, state, road, currency,
      subtotal, discount, shipping, tax, total, reserved_at, first_expires_at, expires_at,
      payment_method, shipping_address, contact, limit_units, seq, cause, actor)
    SELECT o.id, $1, $2, o.buyer, o.buyer_hash, o.fingerprint, o.state, o.road, $3,
      o.subtotal, o.discount, o.shipping, o.tax, o.total,
      to_timestamp(o.reserved_at_ms / 1000.0), to_timestamp(o.first_expires_at_ms / 1000.0),
      now() + o.left_ms * interval '1 millisecond',
      o.payment_method::jsonb, o.shipping_address::jsonb, o.contact::jsonb, o.limit_units, o.seq, o.cause,
      CASE o.state WHEN 'reserved' THEN 'buyer' ELSE 'reconciler' END
    FROM unnest($4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::text[], $9::text[],
      $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[],
      $15::bigint[], $16::bigint[], $17::bigint[], $18::text[], $19::text[],
      $20::text[], $21::bigint[], $22::bigint[], $23::text[])
      AS o (id, buyer, buyer_hash, fingerprint, state, road, subtotal, discount, shipping, tax, total,
        reserved_at_ms, first_expires_at_ms, left_ms, payment_method, shipping_address, contact,
        limit_units, seq, cause)`,
};

const INSERT_ORDER_ITEMS = {
  name: 'insert_order_items',
  text: `
    INSERT INTO order_items (order_id, line, sku, qty, unit_price)
    SELECT * FROM unnest($1::text[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[])`,
};

export type NewOrder = {
  order_id: string;
  state: 'reserved' | 'rejected';
  cause: string;
  buyer: string;
  buyer_hash: Buffer;
  fingerprint: Buffer;
  road: Road;
  /** Minor units of the sale's currency. */
  amounts: { subtotal: number; discount: number; shipping: number; tax: number; total: number };
  lines: readonly PricedLine[];
  payment_method: PaymentMethod | null;
  shipping_address: ShippingAddress | null;
  contact: Contact | null;
  limit_units: number;
  /** ms since 1970 by the Redis clock. */
  reserved_at_ms: number;
  expires_at_ms: number;
  /** What is left of the hold from now on, by any clock, ms. */
  left_ms: number;
  /** Position of its entry in the stream. */
  seq: number;
};

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

/** Stock counters are not touched: the caller has decided fit and updates them in the same transaction. */
export async function insertOrders(
  tx: Queryable,
  sale: { sale_no: number; tenant: string; currency: string },
  orders: readonly NewOrder[],
): Promise<void> {
  if (orders.length === 0) return;
  await rows(tx, INSERT_ORDERS, [
    sale.sale_no,
    sale.tenant,
    sale.currency,
    orders.map((o) => o.order_id),
    orders.map((o) => o.buyer),
    orders.map((o) => o.buyer_hash),
    orders.map((o) => o.fingerprint),
    orders.map((o) => o.state),
    orders.map((o) => o.road),
    orders.map((o) => o.amounts.subtotal),
    orders.map((o) => o.amounts.discount),
    orders.map((o) => o.amounts.shipping),
    orders.map((o) => o.amounts.tax),
    orders.map((o) => o.amounts.total),
    orders.map((o) => o.reserved_at_ms),
    orders.map((o) => o.expires_at_ms),
    orders.map((o) => Math.ceil(o.left_ms)),
    orders.map((o) => json(o.payment_method)),
    orders.map((o) => json(o.shipping_address)),
    orders.map((o) => json(o.contact)),
    orders.map((o) => o.limit_units),
    orders.map((o) => o.seq),
    orders.map((o) => o.cause),
  ]);
  const items = orders.flatMap((o) => o.lines.map((line, i) => ({ order_id: o.order_id, no: i + 1, line })));
  await rows(tx, INSERT_ORDER_ITEMS, [
    items.map((item) => item.order_id),
    items.map((item) => item.no),
    items.map((item) => item.line.sku),
    items.map((item) => item.line.qty),
    items.map((item) => item.line.unit_price),
  ]);
}
