/**
 * shipped -> delivered, by an operator. Again: `already`.
 *
 * $1 tenant  $2 order id  $3 actor
 */
import type { OrderState } from '../../domain/order-machine.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';

const DELIVER_ORDER = {
  name: 'deliver_order',
  text: `
    WITH target AS MATERIALIZED (
      SELECT id, state FROM orders WHERE tenant = $1 AND id = $2 FOR NO KEY UPDATE
    ), done AS (
      UPDATE orders o SET state = 'delivered', cause = 'delivered', actor = $3, updated_at = now()
      FROM target t WHERE o.id = t.id AND o.state = 'shipped'
      RETURNING o.id
    )
    SELECT state, EXISTS (SELECT FROM done) AS done FROM target`,
};

export type Delivered =
  /** `already`: it was delivered before. */
  { kind: 'delivered' | 'already' | 'not_found' } | { kind: 'invalid_state'; state: OrderState };

export async function deliverOrder(
  db: Queryable,
  order: { tenant: string; order_id: string; actor: string },
): Promise<Delivered> {
  const values = [order.tenant, order.order_id, order.actor];
  const [row] = await rows<{ state: OrderState; done: boolean }>(db, DELIVER_ORDER, values);
  if (!row) return { kind: 'not_found' };
  if (row.done) return { kind: 'delivered' };
  return row.state === 'delivered' ? { kind: 'already' } : { kind: 'invalid_state', state: row.state };
}
