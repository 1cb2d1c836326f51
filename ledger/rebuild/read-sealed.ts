/**
 * What Redis has to know of a sale's orders, read in the snapshot of the sealing, in bulk and in order.
 *
 * COUNT: $1 sale_no  $2 first day's begin, ms since 1970
 * BUYERS: $1 sale_no   ORDERS: $1 sale_no  $2 first day's begin, ms since 1970
 * REDUCES: $1 sale_no  $2 first day's begin, ms since 1970
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const COUNT = {
  name: 'rebuild_count',
  text: `
    SELECT count(*) FILTER (WHERE reserved_at >= to_timestamp($2::bigint / 1000.0)) AS orders
    FROM orders WHERE sale_no = $1`,
};

/** Whoever has not given units back: those still count for the limit. */
const BUYERS = `
  SELECT buyer_hash, sum(limit_units)::bigint AS units FROM orders
  WHERE sale_no = $1 AND limit_units > 0
    AND (state IN ('reserved', 'authorized', 'confirmed', 'shipped', 'delivered') OR state = 'refunded' AND NOT restock)
  GROUP BY buyer_hash`;

/** Every order of the replay window, whatever its state: its key may come again. Few columns, because there are many rows. */
const ORDERS = `
  SELECT o.id, encode(o.fingerprint || o.buyer_hash, 'hex') AS hashes,
    round(extract(epoch FROM o.reserved_at) * 1000)::bigint AS reserved_at_ms,
    round(extract(epoch FROM o.first_expires_at - o.reserved_at) * 1000)::bigint AS hold_ms,
    concat_ws(' ', o.road, o.discount, o.shipping, o.tax,
      (SELECT string_agg(concat_ws(' ', i.sku, i.qty, i.unit_price), ' ' ORDER BY i.line)
       FROM order_items i WHERE i.order_id = o.id)) AS answer
  FROM orders o
  WHERE o.sale_no = $1 AND o.reserved_at >= to_timestamp($2::bigint / 1000.0)
  ORDER BY o.sale_no, o.seq, o.id`;

const REDUCES = {
  name: 'rebuild_reduces',
  text: `
    SELECT key, fingerprint, answer, (extract(epoch FROM created_at) * 1000)::bigint AS created_at_ms
    FROM operator_requests
    WHERE sale_no = $1 AND kind = 'reduce' AND answer IS NOT NULL
      AND created_at >= to_timestamp($2::bigint / 1000.0)`,
};

export type BuyerUnits = { buyer_hash: Buffer; units: number };

export type SealedOrder = {
  id: string;
  /** Fingerprint and buyer hash, hex. */
  hashes: string;
  /** As first told, Redis clock. */
  reserved_at_ms: number;
  hold_ms: number;
  /** Road, discount, shipping, tax, then SKU, quantity and unit price of each line in their order. */
  answer: string;
};

export type AnsweredReduce = {
  key: string;
  fingerprint: Buffer;
  answer: { items: { sku: string; qty: number }[] };
  created_at_ms: number;
};

export async function countOrders(snapshot: Queryable, saleNo: number, since_ms: number): Promise<number> {
  return (await rows<{ orders: number }>(snapshot, COUNT, [saleNo, since_ms]))[0].orders;
}

export function readBuyers(snapshot: Queryable, saleNo: number, size: number): AsyncGenerator<BuyerUnits[]> {
  return inPieces(snapshot, 'rebuild_buyers', BUYERS, [saleNo], size);
}

export function readOrders(
  snapshot: Queryable,
  saleNo: number,
  since_ms: number,
  size: number,
): AsyncGenerator<SealedOrder[]> {
  return inPieces(snapshot, 'rebuild_orders', ORDERS, [saleNo, since_ms], size);
}

export function readReduces(
  snapshot: Queryable,
  saleNo: number,
  since_ms: number,
): Promise<AnsweredReduce[]> {
  return rows(snapshot, REDUCES, [saleNo, since_ms]);
}

/** The first piece of a sorted or grouped answer comes when all of it has been read. */
const PIECE_TIMEOUT_MS = 130_000;

/** Rows of a query `size` at a time, the next piece on its way while the last is worked on. */
async function* inPieces<R extends object>(
  snapshot: Queryable,
  name: string,
  text: string,
  values: unknown[],
  size: number,
): AsyncGenerator<R[]> {
  // Parameters of a DECLARE are fine, but only without a name: it is no statement that can be prepared.
  await snapshot.query({ text: `DECLARE ${name} NO SCROLL CURSOR FOR ${text}`, values });
  const fetch = () => {
    const query = { text: `FETCH ${size} FROM ${name}`, query_timeout: PIECE_TIMEOUT_MS };
    const piece = snapshot.query<R>(query).then((result) => result.rows);
    piece.catch(() => {});
    return piece;
  };
  let next = fetch();
  for (;;) {
    const piece = await next;
    if (piece.length === 0) break;
    next = fetch();
    yield piece;
  }
  await snapshot.query({ text: `CLOSE ${name}` });
}
