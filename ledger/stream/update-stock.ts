/**
 * Stock counters after a chunk: units reserved, units an operator took out, and what Redis told last.
 *
 * $1 sale_no, then columns: $2 SKUs  $3 newly reserved  $4 taken out of sale
 *   $5 told available  $6 told held (null: nothing told)
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const UPDATE_STOCK = {
  name: 'update_stock',
  text: `
    UPDATE skus s SET reserved = s.reserved + d.reserved, total = s.total - d.taken,
      told_available = coalesce(d.told_available, s.told_available),
      told_held = coalesce(d.told_held, s.told_held)
    FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
      AS d (sku, reserved, taken, told_available, told_held)
    WHERE s.sale_no = $1 AND s.sku = d.sku`,
};

export type StockChange = {
  sku: string;
  reserved: number;
  taken: number;
  told_available: number | null;
  told_held: number | null;
};

/** The rows must be locked by lockStock: their order is not kept here. */
export async function updateStock(
  tx: Queryable,
  saleNo: number,
  stock: readonly StockChange[],
): Promise<void> {
  if (stock.length === 0) return;
  await rows(tx, UPDATE_STOCK, [
    saleNo,
    stock.map((s) => s.sku),
    stock.map((s) => s.reserved),
    stock.map((s) => s.taken),
    stock.map((s) => s.told_available),
    stock.map((s) => s.told_held),
  ]);
}
