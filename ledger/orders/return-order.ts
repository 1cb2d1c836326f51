/**
 * The goods came back: shipped | delivered -> refunded. All money that is left goes back to the buyer, and unless the
 * operator says otherwise the units go back on sale. Once per Idempotency-Key; a refusal leaves the key free.
 */
import type { OrderState } from '../../domain/order-machine.ts';
import { type Pool, type Queryable, withTransaction } from '../../platform/postgres.ts';
import { knownRequest } from '../sales/operator-requests.ts';
import {
  type GiveBackAnswer,
  type GivenBack,
  giveAllBack,
  lockForOperator,
  moneyOf,
  type OperatorOrderRequest,
} from './give-back.ts';

export type ReturnOrder = OperatorOrderRequest & { reason: string | null; restock: boolean };

/** Nothing can come back that was never sent: such an order is refunded. */
const RETURNABLE: readonly OrderState[] = ['shipped', 'delivered'];

/** `enqueue` gets the attempt that is to be reversed. */
export function returnOrder(
  pool: Pool,
  request: ReturnOrder,
  enqueue: (tx: Queryable, attemptIds: readonly string[]) => Promise<void>,
): Promise<GivenBack> {
  return withTransaction(pool, async (tx): Promise<GivenBack> => {
    const { tenant, order_id, reason, restock } = request;
    const order = await lockForOperator(tx, tenant, order_id);
    if (!order) return { kind: 'not_found' };
    const known = await knownRequest<GiveBackAnswer>(tx, order.sale_no, 'return', request);
    if (known.kind !== 'new') return known;
    const how = { from: RETURNABLE, cause: 'returned', reason, restock };
    return giveAllBack(tx, request, order, await moneyOf(tx, order_id), { kind: 'return', ...how }, enqueue);
  });
}
