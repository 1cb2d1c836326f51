/**
 * Counters of SKUs of a sale: what ingest decides fit against, with or without locking the rows in their order.
 * Whoever changes stock waits for locked rows, so that answer stays true until the transaction ends.
 *
 * $1 sale_no   $2 SKUs
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const READ = 'SELECT sku, total, reserved, sold FROM skus WHERE sale_no = $1 AND sku = ANY ($2)';
const READ_STOCK = { name: 'read_stock', text: READ };
const LOCK_STOCK = { name: 'lock_stock', text: `${READ} ORDER BY sale_no, sku FOR NO KEY UPDATE` };

export type StockRow = { sku: string; total: number; reserved: number; sold: number };

/** Unknown SKUs are missing from the answer. */
export function readStock(tx: Queryable, saleNo: number, skus: readonly string[]): Promise<StockRow[]> {
  return rows(tx, READ_STOCK, [saleNo, skus]);
}

/** Unknown SKUs are missing from the answer. */
export function lockStock(tx: Queryable, saleNo: number, skus: readonly string[]): Promise<StockRow[]> {
  return rows(tx, LOCK_STOCK, [saleNo, skus]);
}
