/**
 * Locks SKU rows of a sale in their order and returns their counters: what ingest decides fit against.
 * Whoever changes stock waits for these rows, so the answer stays true until the transaction ends.
 *
 * $1 sale_no   $2 SKUs
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const LOCK_STOCK = {
  name: 'lock_stock',
  text: `
    SELECT sku, total, reserved, sold FROM skus
    WHERE sale_no = $1 AND sku = ANY ($2)
    ORDER BY sale_no, sku FOR NO KEY UPDATE`,
};

export type StockRow = { sku: string; total: number; reserved: number; sold: number };

/** Unknown SKUs are missing from the answer. */
export function lockStock(tx: Queryable, saleNo: number, skus: readonly string[]): Promise<StockRow[]> {
  return rows(tx, LOCK_STOCK, [saleNo, skus]);
}
