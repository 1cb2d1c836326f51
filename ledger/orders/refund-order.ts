/**
 * An operator gives money back. Everything that is left of it: confirmed | shipped | delivered -> refunded, and its
 * attempt is reversed. A part: a row in `refunds`, which the saga carries out while the order goes on as it is. Once
 * per Idempotency-Key; a refusal leaves the key free.
 *
 * Money that is only authorized is held, not taken: all of it can be given up, a part of it can't be given back.
 */
import type { OrderState } from '../../domain/order-machine.ts';
import { type Pool, type Queryable, withTransaction } from '../../platform/postgres.ts';
import type { RefundRow } from '../payments/refund-row.ts';
import { requestRefundWithin } from '../payments/request-refund.ts';
import { knownRequest } from '../sales/operator-requests.ts';
import {
  type GiveBackAnswer,
  type GivenBack,
  giveAllBack,
  lockForOperator,
  moneyOf,
  type OperatorOrderRequest,
  onceForKey,
} from './give-back.ts';

export type RefundOrder = OperatorOrderRequest & {
  /** Minor units. Absent: everything that is left. */
  amount?: number;
  reason: string | null;
  /** The units go back on sale. Only with everything that is left. */
  restock: boolean;
};

export type RefundedOrder =
  | GivenBack
  /** `left`: what can be given back, minor units. */
  | { kind: 'too_much'; left: number; currency: string }
  /** The money is held and not taken yet, or nobody knows: it goes back whole or not at all. */
  | { kind: 'not_captured'; state: OrderState }
  | { kind: 'restock_of_a_part' };

export type RefundJobs = {
  reverse: (tx: Queryable, attemptIds: readonly string[]) => Promise<void>;
  refund: (tx: Queryable, refund: RefundRow) => Promise<void>;
};

const REFUNDABLE: readonly OrderState[] = ['confirmed', 'shipped', 'delivered'];

export function refundOrder(pool: Pool, request: RefundOrder, enqueue: RefundJobs): Promise<RefundedOrder> {
  return withTransaction(pool, async (tx): Promise<RefundedOrder> => {
    const { tenant, order_id, amount, reason, restock } = request;
    const order = await lockForOperator(tx, tenant, order_id);
    if (!order) return { kind: 'not_found' };
    const known = await knownRequest<GiveBackAnswer>(tx, order.sale_no, 'refund', request);
    if (known.kind !== 'new') return known;
    if (!REFUNDABLE.includes(order.state)) return { kind: 'invalid_state', state: order.state };

    const money = await moneyOf(tx, order_id);
    const left = money?.left ?? 0;
    if (amount === undefined || amount === left) {
      const how = { from: REFUNDABLE, cause: 'refunded_by_operator', reason, restock };
      return giveAllBack(tx, request, order, money, { kind: 'refund', ...how }, enqueue.reverse);
    }
    if (money?.open) return { kind: 'in_progress', state: order.state };
    if (amount > left) return { kind: 'too_much', left, currency: order.currency };
    if (restock) return { kind: 'restock_of_a_part' };
    if (money?.state !== 'captured' || money.reversal_wanted)
      return { kind: 'not_captured', state: order.state };
    return onceForKey(tx, request, order, 'refund', async () => {
      const requested = await requestRefundWithin(tx, { ...request, amount }, enqueue.refund);
      if (requested.kind !== 'requested') throw new Error(`a part could not be refunded: ${requested.kind}`);
      const { state, currency } = order;
      return { order_id, state, refund_id: requested.refund.id, amount, currency, reason, restock };
    });
  });
}
