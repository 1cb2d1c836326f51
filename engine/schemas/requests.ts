/** Bodies of requests. One schema validates, gives the TypeScript type and stands in the API document. */
import type { FromSchema } from 'json-schema-to-ts';
import { HOLD_SECONDS_MAX, HOLD_SECONDS_MIN, LINE_UNITS_MAX, SALE_ITEMS_MAX } from '../../domain/limits.ts';
import { CAPTURES } from '../../domain/types.ts';
import {
  contact,
  currency,
  name,
  orderId,
  orderLines,
  paymentMethod,
  shippingAddress,
  stockQty,
  text,
  time,
  unitPrice,
} from './fragments.ts';
import type { BodySchema } from './validate.ts';

const checkout = {
  $id: 'CheckoutRequest',
  type: 'object',
  additionalProperties: false,
  required: ['sale_id', 'items', 'payment_method', 'shipping_address'],
  properties: {
    sale_id: name,
    items: orderLines,
    payment_method: paymentMethod,
    shipping_address: shippingAddress,
    contact,
    coupon_code: {
      type: 'string',
      description: 'Not offered yet',
      'x-refused': 'there are no coupons yet: leave it out',
    },
  },
} as const;
export type CheckoutBody = FromSchema<typeof checkout>;
export const checkoutBody: BodySchema<CheckoutBody> = checkout;

const lock = {
  $id: 'LockRequest',
  type: 'object',
  additionalProperties: false,
  required: ['sale_id', 'items'],
  properties: { sale_id: name, items: orderLines, contact },
} as const;
export type LockBody = FromSchema<typeof lock>;
export const lockBody: BodySchema<LockBody> = lock;

const initiate = {
  $id: 'PaymentRequest',
  type: 'object',
  additionalProperties: false,
  required: ['order_id', 'payment_method'],
  properties: { order_id: orderId, payment_method: paymentMethod },
} as const;
export type InitiateBody = FromSchema<typeof initiate>;
export const initiateBody: BodySchema<InitiateBody> = initiate;

const confirm = {
  $id: 'ConfirmRequest',
  type: 'object',
  additionalProperties: false,
  required: ['order_id'],
  properties: { order_id: orderId },
} as const;
export type ConfirmBody = FromSchema<typeof confirm>;
export const confirmBody: BodySchema<ConfirmBody> = confirm;

const sale = {
  $id: 'SaleRequest',
  type: 'object',
  additionalProperties: false,
  required: ['id', 'currency', 'items'],
  properties: {
    id: name,
    currency,
    opens_at: { ...time, description: 'Absent: open now' },
    closes_at: { ...time, description: 'Absent: without an end' },
    hold_seconds: { type: 'integer', minimum: HOLD_SECONDS_MIN, maximum: HOLD_SECONDS_MAX, default: 600 },
    limit_per_buyer: {
      type: 'integer',
      minimum: 0,
      maximum: LINE_UNITS_MAX,
      default: 1,
      description: 'Units a buyer may hold and own; 0 for no limit',
    },
    psp: { ...name, description: 'Payment provider of this sale. Absent: the one of the deployment' },
    capture: {
      type: 'string',
      enum: CAPTURES,
      default: 'at_once',
      description:
        '`on_shipment`: money is held when an order is confirmed, and taken when its parcel is recorded',
    },
    items: {
      type: 'array',
      minItems: 1,
      maxItems: SALE_ITEMS_MAX,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['sku', 'name', 'unit_price', 'qty'],
        properties: { sku: name, name: text(200), unit_price: unitPrice, qty: stockQty },
      },
    },
  },
} as const;
export type SaleBody = FromSchema<typeof sale>;
export const saleBody: BodySchema<SaleBody> = sale;

const stockChange = {
  $id: 'StockChangeRequest',
  type: 'object',
  additionalProperties: false,
  required: ['items'],
  properties: {
    items: {
      type: 'array',
      minItems: 1,
      maxItems: SALE_ITEMS_MAX,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['sku', 'qty'],
        properties: { sku: name, qty: stockQty },
      },
    },
  },
} as const;
export type StockChangeBody = FromSchema<typeof stockChange>;
export const stockChangeBody: BodySchema<StockChangeBody> = stockChange;

/** Routes that need nothing said: no body, or an empty object. */
const nothing = { $id: 'Nothing', type: 'object', additionalProperties: false } as const;
export const noBody: BodySchema<unknown> = nothing;
