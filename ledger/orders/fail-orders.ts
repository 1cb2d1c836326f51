/**
 * reserved | authorized -> payment_failed, in bulk: nobody is going to pay. Stock and limits go back, and
 * money that is there is wanted back, by the table's trigger.
 *
 * $1 order ids   $2 cause   $3 actor
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const FAIL_ORDERS = {
  name: 'fail_orders',
  text: `
    WITH due AS MATERIALIZED (
      SELECT id FROM orders WHERE id = ANY ($1) AND state IN ('reserved', 'authorized')
      ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE orders o SET state = 'payment_failed', cause = $2, actor = $3, updated_at = now()
    FROM due WHERE o.id = due.id
    RETURNING o.id`,
};

/** Returns the ids of those that became payment_failed. `cause`: such as `declined`, `attempts_used_up`. */
export async function failOrders(
  tx: Queryable,
  orderIds: readonly string[],
  by: { cause: string; actor: string },
): Promise<string[]> {
  const done = await rows<{ id: string }>(tx, FAIL_ORDERS, [orderIds, by.cause, by.actor]);
  return done.map((row) => row.id);
}
