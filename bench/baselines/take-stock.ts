/** The ways in which shops take stock in Postgres today, one function each: it takes all lines or throws `Refused`. */
import { type Queryable, rows } from '../../platform/postgres.ts';
import { type Purchase, soldOut } from './ledger.ts';

export type TakeStock = (tx: Queryable, purchase: Purchase) => Promise<void>;

/** Lock the row, look, write: what most shops do. SKUs in order, or two carts wait for each other. */
export const selectForUpdate: TakeStock = async (tx, purchase) => {
  for (const { sku, qty } of inOrder(purchase)) {
    const values = [purchase.request.sale.id, sku];
    const [row] = await rows<{ stock: number }>(
      tx,
      {
        name: 'baseline_lock',
        text: 'SELECT stock FROM baseline_skus WHERE sale = $1 AND sku = $2 FOR UPDATE',
      },
      values,
    );
    if (!row || row.stock < qty) throw soldOut(purchase);
    await rows(
      tx,
      {
        name: 'baseline_write',
        text: 'UPDATE baseline_skus SET stock = stock - $3 WHERE sale = $1 AND sku = $2',
      },
      [...values, qty],
    );
  }
};

/** One statement looks and writes. */
export const atomicUpdate: TakeStock = async (tx, purchase) => {
  for (const { sku, qty } of inOrder(purchase)) {
    const taken = await rows(
      tx,
      {
        name: 'baseline_atomic',
        text: `UPDATE baseline_skus SET stock = stock - $3 WHERE sale = $1 AND sku = $2 AND stock >= $3 RETURNING stock`,
      },
      [purchase.request.sale.id, sku, qty],
    );
    if (taken.length === 0) throw soldOut(purchase);
  }
};

/** Somebody else has written the row in between: the purchase begins anew. */
export class VersionMoved extends Error {}

/** Look without a lock, write if nobody has written since. */
export const optimistic: TakeStock = async (tx, purchase) => {
  for (const { sku, qty } of inOrder(purchase)) {
    const values = [purchase.request.sale.id, sku];
    const [row] = await rows<{ stock: number; version: number }>(
      tx,
      {
        name: 'baseline_read',
        text: 'SELECT stock, version FROM baseline_skus WHERE sale = $1 AND sku = $2',
      },
      values,
    );
    if (!row || row.stock < qty) throw soldOut(purchase);
    const written = await rows(
      tx,
      {
        name: 'baseline_versioned',
        text: `UPDATE baseline_skus SET stock = stock - $3, version = version + 1
               WHERE sale = $1 AND sku = $2 AND version = $4 RETURNING version`,
      },
      [...values, qty, row.version],
    );
    if (written.length === 0) throw new VersionMoved();
  }
};

/** A row a unit, so that nobody waits for anybody. */
export const skipLocked: TakeStock = async (tx, purchase) => {
  for (const { sku, qty } of inOrder(purchase)) {
    const taken = await rows(
      tx,
      {
        name: 'baseline_skip_locked',
        text: `UPDATE baseline_units SET order_id = $3 WHERE id IN (
                 SELECT id FROM baseline_units WHERE sale = $1 AND sku = $2 AND order_id IS NULL
                 ORDER BY id LIMIT $4 FOR UPDATE SKIP LOCKED) RETURNING id`,
      },
      [purchase.request.sale.id, sku, purchase.id, qty],
    );
    if (taken.length < qty) throw soldOut(purchase);
  }
};

function inOrder({ lines }: Purchase) {
  return [...lines].sort((a, b) => (a.sku < b.sku ? -1 : 1));
}
