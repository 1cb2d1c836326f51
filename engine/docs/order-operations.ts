/** What the operators' routes of orders are for, in words. */
import type { OutcomeCode } from '../../domain/outcomes.ts';
import { ordersQuery } from '../schemas/order-requests.ts';
import type { OperationDoc } from './operations.ts';

const tag = 'Operators';
const ONE: readonly OutcomeCode[] = ['not_found', 'unavailable'];

export const ORDER_OPERATIONS: Readonly<Record<string, OperationDoc>> = {
  admin_orders: {
    tag,
    summary: 'Orders of the tenant',
    description:
      'Newest sale first, and within it the newest order. A page looks at a bounded number of orders: with `state` it may hold fewer than `limit`, or none, and still not be the last. Go on while `next_cursor` is there.',
    filters: ordersQuery,
    answers: { 200: { description: 'A page.', schema: 'OrderList' } },
    refusals: ['invalid_request', 'unavailable'],
  },
  admin_order: {
    tag,
    summary: 'An order with what only operators see',
    description:
      "The owner's view and the buyer, the address, the provider's names of the payments, and the refunds.",
    answers: { 200: { description: 'The order.', schema: 'OperatorOrder' } },
    refusals: ONE,
  },
  refund: {
    tag,
    summary: 'Give money back',
    description:
      'All that is left (`amount` absent): the order becomes `refunded`, and its money goes back by itself, or is released where it was only held. A part: the order stays as it is, and `refunds` of the order tells how it goes. One part after another.',
    answers: {
      200: {
        description: 'The order is refunded.',
        schema: 'OrderRefund',
        headers: ['Location', 'Idempotent-Replayed'],
      },
      202: {
        description: 'The part is on its way.',
        schema: 'OrderRefund',
        headers: ['Location', 'Idempotent-Replayed'],
      },
    },
    refusals: [...ONE, 'invalid_state', 'refund_too_large', 'idempotency_key_reused'],
  },
  ship: {
    tag,
    summary: 'The parcel is on its way',
    description:
      'Shipped at once if the money is there. If it is only held (`capture: on_shipment`) it is taken now, and the order is shipped as soon as that is done. The same parcel again: the same answer.',
    answers: {
      200: { description: 'Shipped.', schema: 'OperatorOrder' },
      202: { description: 'Recorded; the money is being taken.', schema: 'OperatorOrder' },
    },
    refusals: [...ONE, 'invalid_state', 'shipment_exists'],
  },
  deliver: {
    tag,
    summary: 'The parcel has arrived',
    description: 'Again: the same answer.',
    answers: { 200: { description: 'Delivered.', schema: 'OperatorOrder' } },
    refusals: [...ONE, 'invalid_state'],
  },
  return: {
    tag,
    summary: 'The goods came back',
    description:
      'Of an order that was shipped: it becomes `refunded`, all money that is left goes back, and the units go back on sale unless `restock` is false.',
    answers: {
      200: {
        description: 'The order is refunded.',
        schema: 'OrderRefund',
        headers: ['Location', 'Idempotent-Replayed'],
      },
    },
    refusals: [...ONE, 'invalid_state', 'idempotency_key_reused'],
  },
};
