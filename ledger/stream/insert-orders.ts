/**
 * Orders and their items as ingest writes them: by binary COPY, whose columns stand in the order in which they are written.
 *
 * CLOCK: when this transaction began, by the ledger's clock, us since 1970
 */
import type { Contact } from '../../domain/contact.ts';
import type { PaymentMethod, PricedLine, Road, ShippingAddress } from '../../domain/types.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';
import { type CopyStatement, copyRows } from '../../platform/postgres-copy.ts';

const CLOCK = {
  name: 'transaction_clock',
  text: 'SELECT (extract(epoch FROM now()) * 1000000)::bigint AS now_us',
};

const INSERT_ORDERS: CopyStatement<[sale: OrderSale, now_ms: number, orders: readonly NewOrder[]]> = {
  name: 'insert_orders',
  text: `
    COPY orders (id, sale_no, tenant, buyer, buyer_hash, fingerprint, state, road, currency,
      subtotal, discount, shipping, tax, total, reserved_at, first_expires_at, expires_at,
      payment_method, shipping_address, contact, limit_units, seq, cause, actor)
    FROM STDIN (FORMAT binary)`,
  write(to, [sale, now_ms, orders]) {
    for (const order of orders) {
      const { amounts } = order;
      to.beginRow(24);
      to.text(order.order_id);
      to.bigint(sale.sale_no);
      to.text(sale.tenant);
      to.text(order.buyer);
      to.bytea(order.buyer_hash);
      to.bytea(order.fingerprint);
      to.text(order.state);
      to.text(order.road);
      to.text(sale.currency);
      to.bigint(amounts.subtotal);
      to.bigint(amounts.discount);
      to.bigint(amounts.shipping);
      to.bigint(amounts.tax);
      to.bigint(amounts.total);
      to.timestamptz(order.reserved_at_ms);
      to.timestamptz(order.expires_at_ms);
      to.timestamptz(now_ms + Math.ceil(order.left_ms));
      to.jsonb(order.payment_method);
      to.jsonb(order.shipping_address);
      to.jsonb(order.contact);
      to.bigint(order.limit_units);
      to.bigint(order.seq);
      to.text(order.cause);
      to.text(order.state === 'reserved' ? 'buyer' : 'reconciler');
    }
  },
};

const INSERT_ORDER_ITEMS: CopyStatement<[orders: readonly NewOrder[]]> = {
  name: 'insert_order_items',
  text: 'COPY order_items (order_id, line, sku, qty, unit_price) FROM STDIN (FORMAT binary)',
  write(to, [orders]) {
    for (const { order_id, lines } of orders) {
      for (const [i, line] of lines.entries()) {
        to.beginRow(5);
        to.text(order_id);
        to.smallint(i + 1);
        to.text(line.sku);
        to.bigint(line.qty);
        to.bigint(line.unit_price);
      }
    }
  },
};

type OrderSale = { sale_no: number; tenant: string; currency: string };

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

/**
 * Stock counters are not touched: the caller has decided fit and updates them in the same transaction.
 * `meanwhile` is called when Postgres has the rows and most of its work before it: a good time for ours.
 */
export async function insertOrders(
  tx: Queryable,
  sale: OrderSale,
  orders: readonly NewOrder[],
  meanwhile?: () => void,
): Promise<void> {
  if (orders.length === 0) return;
  const [clock] = await rows<{ now_us: number }>(tx, CLOCK);
  const copied = copyRows(tx, INSERT_ORDERS, [sale, clock.now_us / 1_000, orders]);
  meanwhile?.();
  await copied;
  await copyRows(tx, INSERT_ORDER_ITEMS, [orders]);
}
