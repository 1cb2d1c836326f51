/** An order as operators see it: what its owner sees, and what it takes to send it, to give it back and to answer for it. */
import type { OrderView } from '../../ledger/orders/find-order.ts';
import type { ListedOrder } from '../../ledger/orders/list-orders.ts';
import type { OperatorDetails } from '../../ledger/orders/operator-view.ts';
import { iso } from '../reply.ts';
import { historyView, orderFromLedger } from './order-view.ts';

export function operatorOrderView(order: OrderView, details: OperatorDetails) {
  const { payments, history: _owners, as_of, source, ...owners } = orderFromLedger(order);
  return {
    ...owners,
    buyer: order.buyer,
    road: order.road,
    capture: details.capture,
    shipping_address: order.shipping_address,
    payments: payments.map((payment) => {
      const attempt = details.attempts.find(({ no }) => no === payment.no);
      return {
        id: attempt?.id ?? null,
        ...payment,
        psp_ref: attempt?.psp_ref ?? null,
        capture_by: attempt?.capture_by ? iso(attempt.capture_by.getTime()) : null,
      };
    }),
    refunds: details.refunds.map((refund) => ({
      id: refund.id,
      payment_id: refund.attempt_id,
      amount: refund.amount,
      currency: order.amounts.currency,
      state: refund.state,
      refusal_code: refund.refusal_code,
      reason: refund.reason,
      actor: refund.actor,
      psp_ref: refund.psp_ref,
      created_at: iso(refund.created_at.getTime()),
      updated_at: iso(refund.updated_at.getTime()),
    })),
    restocked: details.restock,
    refund_reason: details.refund_reason,
    history: historyView(order),
    ...{ as_of, source },
  };
}

export function listedOrderView(order: ListedOrder) {
  return {
    order_id: order.order_id,
    sale_id: order.sale,
    state: order.state,
    buyer: order.buyer,
    currency: order.currency,
    total: order.total,
    reserved_at: iso(order.reserved_at.getTime()),
    updated_at: iso(order.updated_at.getTime()),
  };
}
