/**
 * reserved -> authorized, in bulk: their payment is secured. Not for an order that is over, swept or not.
 *
 * $1 order ids   $2 cause   $3 actor
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const AUTHORIZE_ORDERS = {
  name: 'authorize_orders',
  text: `
    WITH due AS MATERIALIZED (
      SELECT id FROM orders
      WHERE id = ANY ($1) AND state = 'reserved' AND expires_at > (SELECT expiry_horizon())
      ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE orders o SET state = 'authorized', cause = $2, actor = $3, updated_at = now()
    FROM due WHERE o.id = due.id
    RETURNING o.id`,
};

/** Returns the ids of those that became authorized. */
export async function authorizeOrders(
  tx: Queryable,
  orderIds: readonly string[],
  by: { cause: string; actor: string },
): Promise<string[]> {
  const done = await rows<{ id: string }>(tx, AUTHORIZE_ORDERS, [orderIds, by.cause, by.actor]);
  return done.map((row) => row.id);
}
