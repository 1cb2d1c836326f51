/** What operators send about orders: bodies, and the query of the list. */
import type { FromSchema } from 'json-schema-to-ts';
import { ORDER_STATES } from '../../domain/order-machine.ts';
import { name, text } from './fragments.ts';
import { CURSOR_PATTERN, ORDERS_PAGE_DEFAULT, ORDERS_PAGE_MAX, PAGE_PATTERN } from './order-patterns.ts';
import type { BodySchema } from './validate.ts';

const reason = { ...text(300), description: 'For operators; the buyer is not told' } as const;

const refund = {
  $id: 'RefundRequest',
  type: 'object',
  additionalProperties: false,
  properties: {
    amount: {
      type: 'integer',
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Minor units. Absent, or all that is left: the order becomes `refunded`',
    },
    reason,
    restock: {
      type: 'boolean',
      default: false,
      description: 'The units go back on sale. Only with all that is left',
    },
  },
} as const;
export type RefundBody = FromSchema<typeof refund>;
export const refundBody: BodySchema<RefundBody> = refund;

const giveBack = {
  $id: 'ReturnRequest',
  type: 'object',
  additionalProperties: false,
  properties: {
    reason,
    restock: { type: 'boolean', default: true, description: 'The units go back on sale' },
  },
} as const;
export type ReturnBody = FromSchema<typeof giveBack>;
export const returnBody: BodySchema<ReturnBody> = giveBack;

/** One in ten of a carrier's long numbers passes for a card number, and buyers can't write here: they are taken as they are. */
const tracking = { type: 'string', minLength: 1, 'x-plain-text': true } as const;

const shipment = {
  $id: 'ShipmentRequest',
  type: 'object',
  additionalProperties: false,
  properties: {
    carrier: text(64),
    tracking_number: { ...tracking, maxLength: 64 },
    tracking_url: { ...tracking, maxLength: 500, description: 'http or https; the buyer is shown it' },
  },
} as const;
export type ShipmentBody = FromSchema<typeof shipment>;
export const shipmentBody: BodySchema<ShipmentBody> = shipment;

/** Values of a query are text. */
export const ordersQuery = {
  $id: 'OrdersQuery',
  type: 'object',
  additionalProperties: false,
  properties: {
    state: { type: 'string', enum: ORDER_STATES, description: 'Only orders in this state' },
    sale_id: { ...name, description: 'Only orders of this sale' },
    limit: {
      type: 'string',
      pattern: PAGE_PATTERN,
      description: `Orders of a page, up to ${ORDERS_PAGE_MAX}; default ${ORDERS_PAGE_DEFAULT}`,
    },
    cursor: { type: 'string', pattern: CURSOR_PATTERN, description: '`next_cursor` of the page before' },
  },
} as const;
export type OrdersQuery = FromSchema<typeof ordersQuery>;
