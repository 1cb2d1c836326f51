/**
 * confirmed -> shipped, in bulk, for orders whose parcel is recorded and whose money is there: captured, or none was
 * to be paid. Who recorded the parcel is the actor.
 *
 * $1 order ids
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const SHIP_ORDERS = {
  name: 'ship_orders',
  text: `
    WITH recorded AS MATERIALIZED (
      SELECT order_id, actor FROM shipments WHERE order_id = ANY ($1)
    ), due AS MATERIALIZED (
      SELECT o.id, s.actor FROM recorded s JOIN orders o ON o.id = s.order_id
      WHERE o.state = 'confirmed' AND (o.total = 0 OR EXISTS (
        SELECT FROM attempts a WHERE a.order_id = o.id AND a.state = 'captured' AND NOT a.reversal_wanted
      ))
      ORDER BY o.id FOR NO KEY UPDATE OF o
    )
    UPDATE orders o SET state = 'shipped', cause = 'shipped', actor = due.actor, updated_at = now()
    FROM due WHERE o.id = due.id
    RETURNING o.id`,
};

/** Returns the ids of those that became shipped. */
export async function shipOrders(tx: Queryable, orderIds: readonly string[]): Promise<string[]> {
  return (await rows<{ id: string }>(tx, SHIP_ORDERS, [orderIds])).map((row) => row.id);
}
