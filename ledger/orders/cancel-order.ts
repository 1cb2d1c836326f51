/**
 * reserved | authorized | confirmed -> canceled, by the buyer. Stock goes back, and money that is there or
 * may come is wanted back, by the table's trigger. Not once a parcel is recorded: then the goods are on their way,
 * though the order is confirmed until its money is captured.
 *
 * LOCK: $1 tenant  $2 order id  $3 buyer
 * CANCEL: $1 order id  $2 cause  $3 actor
 */
import type { OrderState } from '../../domain/order-machine.ts';
import { type Pool, rows, withTransaction } from '../../platform/postgres.ts';

const LOCK = {
  name: 'cancel_order_lock',
  text: `
    SELECT state, held AND expires_at <= expiry_horizon() AS over
    FROM orders WHERE tenant = $1 AND id = $2 AND buyer = $3 FOR NO KEY UPDATE`,
};

// A statement of its own, after the lock: it sees the parcel that somebody recorded while this one waited.
const CANCEL = {
  name: 'cancel_order',
  text: `
    UPDATE orders o SET state = 'canceled', cause = $2, actor = $3, updated_at = now()
    WHERE o.id = $1 AND o.state IN ('reserved', 'authorized', 'confirmed')
      AND NOT EXISTS (SELECT FROM shipments p WHERE p.order_id = o.id)
    RETURNING o.id`,
};

export type Canceled =
  /** `already`: it was canceled before. `over`: its hold is over, swept or not. */
  { kind: 'canceled' | 'already' | 'over' | 'not_found' } | { kind: 'invalid_state'; state: OrderState };

export function cancelOrder(
  pool: Pool,
  order: { tenant: string; order_id: string; buyer: string },
  by = { cause: 'canceled_by_buyer', actor: 'buyer' },
): Promise<Canceled> {
  return withTransaction(pool, async (tx): Promise<Canceled> => {
    const values = [order.tenant, order.order_id, order.buyer];
    const [row] = await rows<{ state: OrderState; over: boolean }>(tx, LOCK, values);
    if (!row) return { kind: 'not_found' };
    if (row.state === 'canceled') return { kind: 'already' };
    if (row.over || row.state === 'expired') return { kind: 'over' };
    const done = await rows(tx, CANCEL, [order.order_id, by.cause, by.actor]);
    return done.length === 1 ? { kind: 'canceled' } : { kind: 'invalid_state', state: row.state };
  });
}
