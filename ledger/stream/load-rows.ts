/**
 * What Redis is to be told of a sale that is not loaded: SKUs with the units the ledger has promised it.
 * Top-ups since the creation are movements and follow.
 *
 * $1 sale_no
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const LOAD_ROWS = {
  name: 'load_rows',
  text: `
    SELECT sku, position, name, unit_price, told_available AS qty FROM skus
    WHERE sale_no = $1 ORDER BY position`,
};

export type LoadRow = { sku: string; position: number; name: string; unit_price: number; qty: number };

export function loadRows(db: Queryable, saleNo: number): Promise<LoadRow[]> {
  return rows(db, LOAD_ROWS, [saleNo]);
}
