/**
 * Orders of the checkout road that nobody has begun to pay: their job was lost, or has not run yet.
 *
 * $1 how many at most   $2 only such as were reserved longer ago than this, ms
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const UNBEGUN_ORDERS = {
  name: 'unbegun_orders',
  text: `
    SELECT o.id FROM orders o
    WHERE o.held AND o.state = 'reserved' AND o.road = 'checkout'
      AND o.updated_at < now() - $2 * interval '1 millisecond'
      AND o.expires_at > (SELECT expiry_horizon())
      AND NOT EXISTS (SELECT FROM attempts a WHERE a.order_id = o.id)
    LIMIT $1`,
};

export async function unbegunOrders(
  db: Queryable,
  options: { limit: number; still_ms: number },
): Promise<string[]> {
  const found = await rows<{ id: string }>(db, UNBEGUN_ORDERS, [options.limit, options.still_ms]);
  return found.map((row) => row.id);
}
