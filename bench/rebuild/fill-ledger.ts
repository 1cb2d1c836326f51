/**
 * Many live reservations in a ledger, made in SQL: distinct buyers, one order each. As if ingested: stock, limits, ids and
 * first told times are right; the events are left out, because a rebuild does not read them.
 */

import type { FollowedSale } from '../../ledger/stream/cursor.ts';
import type { Pool } from '../../platform/postgres.ts';
import { withTransaction } from '../../platform/postgres.ts';

const PIECE = 100_000;

// $1 sale_no  $2 tenant  $3 route  $4 from  $5 to  $6 limit units   $7 lines  $8 unit price
const ORDERS = `
  WITH made AS (
    SELECT i, sha256(('order ' || i)::bytea) AS hash, date_trunc('milliseconds', now()) - (i % 60000) * interval '1 millisecond' AS at
    FROM generate_series($4::bigint, $5::bigint) AS i
  ), rows AS (
    SELECT i, at, substring(hash, 1, 16) AS id16, substring(hash, 17, 16) AS finger,
      substring(sha256(('buyer ' || i)::bytea), 1, 16) AS buyer_hash,
      translate(encode($3::bytea || substring(int4send((extract(epoch FROM at) / 86400)::integer - CASE
        WHEN extract(epoch FROM at) / 86400 < round(extract(epoch FROM at) / 86400) THEN 1 ELSE 0 END), 3, 2)
        || substring(hash, 1, 16), 'base64'), '+/', '-_') AS id
    FROM made
  ), orders AS (
    INSERT INTO orders (id, sale_no, tenant, buyer, buyer_hash, fingerprint, state, road, currency,
      subtotal, discount, shipping, tax, total, reserved_at, first_expires_at, expires_at, limit_units, seq, cause, actor)
    SELECT id, $1, $2, 'buyer-' || i, buyer_hash, finger, 'reserved', 'checkout', 'USD',
      $7::bigint * $8, 0, 0, 0, $7::bigint * $8, at, at + interval '10 minutes', now() + interval '1 hour', $6, 1 + i / 512, 'checkout', 'buyer'
    FROM rows
  )
  INSERT INTO order_items (order_id, line, sku, qty, unit_price)
  SELECT id, line, 's' || line, 1, $8 FROM rows, generate_series(1, $7::integer) AS line`;

/** Every SKU of the sale (s1, s2 ...) must hold as many units as there are orders. */
export async function fillLedger(
  db: Pool,
  sale: FollowedSale,
  options: { reservations: number; lines: number; unit_price: number; onProgress: (made: number) => void },
): Promise<void> {
  const { reservations, lines, unit_price } = options;
  const limit_units = sale.limit_per_buyer > 0 ? lines : 0;
  for (let from = 1; from <= reservations; from += PIECE) {
    const to = Math.min(from + PIECE - 1, reservations);
    await withTransaction(db, async (tx) => {
      // Without triggers: the counters follow in one statement below.
      await tx.query('SET LOCAL session_replication_role = replica');
      await tx.query('SET LOCAL statement_timeout = 0');
      await tx.query({
        text: ORDERS,
        values: [sale.sale_no, sale.tenant, sale.route, from, to, limit_units, lines, unit_price],
        query_timeout: 600_000,
      } as never);
    });
    options.onProgress(to);
  }
  await db.query({
    text: `UPDATE skus SET reserved = $2, told_available = total - $2, told_held = $2
           WHERE sale_no = $1 AND sku IN (SELECT 's' || line FROM generate_series(1, $3::integer) AS line)`,
    values: [sale.sale_no, reservations, lines],
  });
  await db.query({ text: 'ANALYZE orders, order_items', query_timeout: 600_000 } as never);
}
