/**
 * The stepwise road: a buyer confirms an authorized order. Whatever `enqueue` adds (the capture) commits
 * with it.
 *
 * $1 tenant  $2 order id  $3 buyer
 */
import type { OrderState } from '../../domain/order-machine.ts';
import { type Pool, type Queryable, rows, withTransaction } from '../../platform/postgres.ts';
import type { AttemptRow } from '../payments/attempt-row.ts';
import { attemptsOfOrders } from '../payments/find-attempts.ts';
import { confirmOrders } from './confirm-orders.ts';

const LOCK_ORDER = {
  name: 'confirm_order_lock',
  text: `
    SELECT state, held AND expires_at <= expiry_horizon() AS over
    FROM orders WHERE tenant = $1 AND id = $2 AND buyer = $3 FOR NO KEY UPDATE`,
};

export type Confirmed =
  /** `already`: it was confirmed before. `over`: its hold is over, swept or not. */
  | { kind: 'confirmed' | 'already' | 'over' | 'not_found' }
  /** `latest`: of an order that is reserved and not paid, the last attempt to pay it. */
  | { kind: 'invalid_state'; state: OrderState; latest?: AttemptRow };

export function confirmOrder(
  pool: Pool,
  order: { tenant: string; order_id: string; buyer: string },
  enqueue: (tx: Queryable, attempts: readonly AttemptRow[]) => Promise<void>,
): Promise<Confirmed> {
  return withTransaction(pool, async (tx): Promise<Confirmed> => {
    const values = [order.tenant, order.order_id, order.buyer];
    const [row] = await rows<{ state: OrderState; over: boolean }>(tx, LOCK_ORDER, values);
    if (!row) return { kind: 'not_found' };
    if (row.over || row.state === 'expired') return { kind: 'over' };
    if (['confirmed', 'shipped', 'delivered'].includes(row.state)) return { kind: 'already' };
    if (row.state === 'reserved') {
      const latest = (await attemptsOfOrders(tx, [order.order_id])).at(-1);
      return { kind: 'invalid_state', state: row.state, ...(latest && { latest }) };
    }
    if (row.state !== 'authorized') return { kind: 'invalid_state', state: row.state };
    const by = { cause: 'confirmed_by_buyer', actor: 'buyer' };
    const done = await confirmOrders(tx, [order.order_id], by);
    if (done.length !== 1) throw new Error('an authorized order under lock could not be confirmed');
    await enqueue(tx, await attemptsOfOrders(tx, [order.order_id]));
    return { kind: 'confirmed' };
  });
}
