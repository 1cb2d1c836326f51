/** Bodies of answers to operators about orders. */
import { ORDER_STATES } from '../../domain/order-machine.ts';
import { CAPTURES } from '../../domain/types.ts';
import {
  integer,
  list,
  object,
  type Schema,
  string,
  stringOrNull,
  time,
  timeOrNull,
} from './answer-parts.ts';

const state = { type: 'string', enum: ORDER_STATES } as const;

const address = {
  ...object(
    {
      ...{ name: string, line1: string, line2: string, city: string, region: string, postal_code: string },
      country: string,
    },
    ['line2', 'region'],
  ),
  type: ['object', 'null'],
} as const;

const refund = object({
  id: string,
  payment_id: string,
  amount: integer,
  currency: string,
  state: { type: 'string', enum: ['wanted', 'done', 'refused'] },
  refusal_code: { ...stringOrNull, description: '`refused`: why no money moved for it' },
  reason: stringOrNull,
  actor: string,
  psp_ref: stringOrNull,
  created_at: time,
  updated_at: time,
});

/** `order`, `payment`: the members of the owner's view. */
export function orderAnswerSchemas(
  order: Readonly<Record<string, Schema>>,
  payment: Readonly<Record<string, Schema>>,
): Readonly<Record<string, Schema>> {
  return {
    OperatorOrder: object({
      ...order,
      buyer: string,
      road: { type: 'string', enum: ['checkout', 'lock'] },
      capture: { type: 'string', enum: CAPTURES },
      shipping_address: address,
      payments: list(
        object({
          id: stringOrNull,
          ...payment,
          psp_ref: { ...stringOrNull, description: "The provider's name for the payment" },
          capture_by: { ...timeOrNull, description: 'Until when money that is held can be taken' },
        }),
      ),
      refunds: list(refund),
      restocked: { type: 'boolean', description: 'Its units went back on sale when it was refunded' },
      refund_reason: stringOrNull,
    }),
    OrderList: object({
      orders: list(
        object({
          ...{ order_id: string, sale_id: string, state, buyer: string, currency: string, total: integer },
          ...{ reserved_at: time, updated_at: time },
        }),
      ),
      next_cursor: { ...stringOrNull, description: 'Null: this is the last page' },
    }),
    OrderRefund: object({
      order_id: string,
      state,
      refund_id: { ...stringOrNull, description: 'Of a part; null: everything that was left' },
      amount: { ...integer, description: 'Minor units that go back, or that are held and released' },
      currency: string,
      reason: stringOrNull,
      restocked: { type: 'boolean' },
    }),
  };
}
