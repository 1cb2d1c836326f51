/** A ledger of a test's own, and orders in it without any Redis. */
import { createHash, randomUUID } from 'node:crypto';
import type { Road } from '../../domain/types.ts';
import { createSale } from '../../ledger/sales/create-sale.ts';
import { insertOrders } from '../../ledger/stream/insert-orders.ts';
import { lockStock } from '../../ledger/stream/lock-stock.ts';
import { updateStock } from '../../ledger/stream/update-stock.ts';
import { createPool, type Pool, withTransaction } from '../../platform/postgres.ts';
import { testDatabase } from './postgres.ts';

/** A fresh database with all migrations, and a pool on it. Call `close` in afterAll. */
export async function testLedger(): Promise<{ db: Pool; url: string; close(): Promise<void> }> {
  const url = await testDatabase();
  const db = createPool({ url, max: 10, application_name: 'test', on_error: () => {} });
  return { db, url, close: () => db.end() };
}

export const hash16 = (text: string): Buffer => createHash('sha256').update(text).digest().subarray(0, 16);

export type TestSale = { sale_no: number; tenant: string; id: string; currency: string };

/** A sale that is not in Redis. Default stock: 100 each of `a` and `b`, at 1000 and 250. */
export async function ledgerSale(
  db: Pool,
  options: { items?: { sku: string; qty: number }[]; hold_ms?: number; limit?: number } = {},
): Promise<TestSale> {
  const id = `s-${randomUUID()}`;
  const items = options.items ?? [
    { sku: 'a', qty: 100 },
    { sku: 'b', qty: 100 },
  ];
  const made = await createSale(db, {
    tenant: 'default',
    id,
    currency: 'USD',
    hold_ms: options.hold_ms ?? 600_000,
    limit_per_buyer: options.limit ?? 2,
    items: items.map((item, i) => ({
      ...item,
      name: item.sku.toUpperCase(),
      unit_price: i === 0 ? 1000 : 250,
    })),
    body: { id },
  });
  if (made.kind !== 'created') throw new Error(made.kind);
  return { sale_no: made.sale_no, tenant: 'default', id, currency: 'USD' };
}

export type TestOrder = {
  buyer?: string;
  road?: Road;
  lines?: { sku: string; qty: number }[];
  left_ms?: number;
  limit_units?: number;
  contact?: { email?: string; phone?: string };
};

/** Orders as ingest would write them, with their stock counted; `told` follows as Redis would tell. */
export async function ledgerOrders(
  db: Pool,
  sale: TestSale,
  orders: readonly TestOrder[],
): Promise<string[]> {
  const full = orders.map((order) => {
    const lines = (order.lines ?? [{ sku: 'a', qty: 1 }]).map((line) => ({ ...line, unit_price: 1000 }));
    const subtotal = lines.reduce((sum, line) => sum + line.qty * line.unit_price, 0);
    const buyer = order.buyer ?? `buyer-${randomUUID()}`;
    return {
      order_id: randomUUID().replaceAll('-', ''),
      state: 'reserved' as const,
      cause: order.road ?? 'checkout',
      buyer,
      buyer_hash: hash16(buyer),
      fingerprint: hash16('request'),
      road: order.road ?? ('checkout' as const),
      amounts: { subtotal, discount: 0, shipping: 0, tax: 0, total: subtotal },
      lines,
      payment_method: order.road === 'lock' ? null : { type: 'card' as const, token: 'pm_ok' },
      shipping_address: null,
      contact: order.contact ?? null,
      limit_units: order.limit_units ?? lines.reduce((sum, line) => sum + line.qty, 0),
      reserved_at_ms: Date.now(),
      expires_at_ms: Date.now() + (order.left_ms ?? 600_000),
      left_ms: order.left_ms ?? 600_000,
      seq: 2,
    };
  });
  await withTransaction(db, async (tx) => {
    const totals = new Map<string, number>();
    for (const { sku, qty } of full.flatMap((o) => o.lines)) totals.set(sku, (totals.get(sku) ?? 0) + qty);
    await lockStock(tx, sale.sale_no, [...totals.keys()]);
    await insertOrders(tx, sale, full);
    const stock = await stockOf(tx as unknown as Pool, sale.sale_no);
    await updateStock(
      tx,
      sale.sale_no,
      [...totals].map(([sku, reserved]) => ({
        sku,
        reserved,
        taken: 0,
        told_available: stock[sku].told_available - reserved,
        told_held: stock[sku].told_held + reserved,
      })),
    );
  });
  return full.map((order) => order.order_id);
}

export type Stock = {
  total: number;
  reserved: number;
  sold: number;
  told_available: number;
  told_held: number;
};

export async function stockOf(db: Pool, saleNo: number): Promise<Record<string, Stock>> {
  const { rows } = await db.query<Stock & { sku: string }>({
    text: 'SELECT sku, total, reserved, sold, told_available, told_held FROM skus WHERE sale_no = $1 ORDER BY sku',
    values: [saleNo],
  });
  return Object.fromEntries(rows.map(({ sku, ...stock }) => [sku, stock]));
}

export async function stateOf(db: Pool, orderId: string): Promise<string> {
  const { rows } = await db.query<{ state: string }>({
    text: 'SELECT state FROM orders WHERE id = $1',
    values: [orderId],
  });
  return rows[0].state;
}

/** Makes the heartbeat row say that the ledger has been up for long and a reconciler is there, or what is given. */
export async function setHeartbeat(db: Pool, ago: { up_ms?: number; beat_ms?: number } = {}): Promise<void> {
  await db.query({
    text: `UPDATE heartbeat SET up_since = now() - $1 * interval '1 millisecond', beat_at = now() - $2 * interval '1 millisecond'`,
    values: [ago.up_ms ?? 3_600_000, ago.beat_ms ?? -3_600_000],
  });
}

/** Lets the deadline of an order have passed by `ago_ms`. */
export async function pastDeadline(db: Pool, orderIds: readonly string[], ago_ms = 1): Promise<void> {
  await db.query({
    text: `UPDATE orders SET expires_at = now() - $2 * interval '1 millisecond' WHERE id = ANY ($1)`,
    values: [orderIds, ago_ms],
  });
}
