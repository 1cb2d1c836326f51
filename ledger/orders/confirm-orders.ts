/**
 * authorized -> confirmed, in bulk: the units are sold. The table's trigger moves the counters and writes
 * movements and events. Not for an order that is over, swept or not.
 *
 * $1 order ids   $2 cause   $3 actor
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const CONFIRM_ORDERS = {
  name: 'confirm_orders',
  text: `
    WITH due AS MATERIALIZED (
      SELECT id FROM orders
      WHERE id = ANY ($1) AND state = 'authorized' AND expires_at > (SELECT expiry_horizon())
      ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE orders o SET state = 'confirmed', cause = $2, actor = $3, updated_at = now()
    FROM due WHERE o.id = due.id
    RETURNING o.id`,
};

/** Returns the ids of those that became confirmed. */
export async function confirmOrders(
  tx: Queryable,
  orderIds: readonly string[],
  by: { cause: string; actor: string },
): Promise<string[]> {
  const done = await rows<{ id: string }>(tx, CONFIRM_ORDERS, [orderIds, by.cause, by.actor]);
  return done.map((row) => row.id);
}
