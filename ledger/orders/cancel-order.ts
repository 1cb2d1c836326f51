/**
 * reserved | authorized | confirmed -> canceled, by the buyer. Stock goes back, and money that is there or
 * may come is wanted back, by the table's trigger.
 *
 * $1 tenant  $2 order id  $3 buyer  $4 cause  $5 actor
 */
import type { OrderState } from '../../domain/order-machine.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';

const CANCEL_ORDER = {
  name: 'cancel_order',
  text: `
    WITH target AS MATERIALIZED (
      SELECT id, state, held AND expires_at <= expiry_horizon() AS over
      FROM orders WHERE tenant = $1 AND id = $2 AND buyer = $3
      FOR NO KEY UPDATE
    ), done AS (
      UPDATE orders o SET state = 'canceled', cause = $4, actor = $5, updated_at = now()
      FROM target t
      WHERE o.id = t.id AND NOT t.over AND o.state IN ('reserved', 'authorized', 'confirmed')
      RETURNING o.id
    )
    SELECT state, over, EXISTS (SELECT FROM done) AS done FROM target`,
};

export type Canceled =
  /** `already`: it was canceled before. `over`: its hold is over, swept or not. */
  { kind: 'canceled' | 'already' | 'over' | 'not_found' } | { kind: 'invalid_state'; state: OrderState };

export async function cancelOrder(
  db: Queryable,
  order: { tenant: string; order_id: string; buyer: string },
  by = { cause: 'canceled_by_buyer', actor: 'buyer' },
): Promise<Canceled> {
  const values = [order.tenant, order.order_id, order.buyer, by.cause, by.actor];
  const [row] = await rows<{ state: OrderState; over: boolean; done: boolean }>(db, CANCEL_ORDER, values);
  if (!row) return { kind: 'not_found' };
  if (row.done) return { kind: 'canceled' };
  if (row.state === 'canceled') return { kind: 'already' };
  if (row.over || row.state === 'expired') return { kind: 'over' };
  return { kind: 'invalid_state', state: row.state };
}
