/**
 * Counts for the metrics.
 *
 * BY_STATE: reads every order, so rarely   HELD: by index   STUCK: $1 ms without a change
 */
import type { OrderState } from '../domain/order-machine.ts';
import { type Queryable, rows } from '../platform/postgres.ts';

const BY_STATE = {
  name: 'orders_by_state',
  text: 'SELECT state, count(*) AS orders FROM orders GROUP BY state',
};

const HELD = {
  name: 'orders_held',
  text: 'SELECT count(*) AS orders FROM orders WHERE held',
};

// A hold that nobody pays is over by itself; an order whose payment is under way and does not move is not.
const STUCK = {
  name: 'orders_stuck',
  text: `
    SELECT count(*) AS orders FROM (
      SELECT id FROM orders
      WHERE held AND road = 'checkout'
        AND updated_at < now() - $1 * interval '1 millisecond'
      UNION
      SELECT a.order_id FROM attempts a JOIN orders o ON o.id = a.order_id
      WHERE a.unfinished
        AND a.created_at < now() - $1 * interval '1 millisecond'
        -- Its buyer is to confirm it, and has the time of the hold.
        AND NOT (a.state = 'authorized' AND o.state = 'authorized')
    ) AS stuck`,
};

export function ordersByState(db: Queryable): Promise<{ state: OrderState; orders: number }[]> {
  return rows(db, BY_STATE);
}

/** Orders that hold stock and are not paid. */
export async function ordersHeld(db: Queryable): Promise<number> {
  return (await rows<{ orders: number }>(db, HELD))[0].orders;
}

/** Orders whose payment has not moved for `still_ms`. */
export async function ordersStuck(db: Queryable, still_ms: number): Promise<number> {
  return (await rows<{ orders: number }>(db, STUCK, [still_ms]))[0].orders;
}
