/**
 * A sealed batch as Redis takes it: added up, each SKU and each buyer once. The same whenever it is read.
 *
 * ITEMS, BUYERS: $1 sale_no  $2 n   EARLIEST: $1 sale_no
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const BATCH_ITEMS = {
  name: 'batch_items',
  text: `
    SELECT sku, sum(to_available)::bigint AS to_available, sum(from_held)::bigint AS from_held
    FROM movements WHERE sale_no = $1 AND n = $2 GROUP BY sku ORDER BY sku`,
};

const BATCH_BUYERS = {
  name: 'batch_buyers',
  text: `
    SELECT buyer_hash, sum(buyer_units)::bigint AS units
    FROM movements WHERE sale_no = $1 AND n = $2 AND buyer_units > 0 GROUP BY buyer_hash ORDER BY buyer_hash`,
};

const EARLIEST_HOLD = {
  name: 'earliest_hold',
  text: `
    SELECT (extract(epoch FROM min(expires_at) - now()) * 1000)::bigint AS in_ms FROM orders
    WHERE sale_no = $1 AND held`,
};

export type SealedBatch = {
  n: number;
  items: { sku: string; to_available: number; from_held: number }[];
  buyers: { buyer_hash: Buffer; units: number }[];
};

export async function readBatch(db: Queryable, saleNo: number, n: number): Promise<SealedBatch> {
  const [items, buyers] = await Promise.all([
    rows<SealedBatch['items'][number]>(db, BATCH_ITEMS, [saleNo, n]),
    rows<SealedBatch['buyers'][number]>(db, BATCH_BUYERS, [saleNo, n]),
  ]);
  return { n, items, buyers };
}

/** When the oldest hold of a sale ends, ms from now (negative: it has ended); undefined if nothing is held. */
export async function earliestHold(db: Queryable, saleNo: number): Promise<number | undefined> {
  const [row] = await rows<{ in_ms: number | null }>(db, EARLIEST_HOLD, [saleNo]);
  return row.in_ms ?? undefined;
}
