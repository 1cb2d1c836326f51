/** Parts that schemas are made of. Every string is bounded. */
import { EMAIL_LENGTH_MAX, EMAIL_PATTERN, PHONE_PATTERN } from '../../domain/contact.ts';
import { NAME_PATTERN } from '../../domain/ids.ts';
import { LINE_UNITS_MAX, ORDER_LINES_MAX, STOCK_UNITS_MAX, UNIT_PRICE_MAX } from '../../domain/limits.ts';

/** Sale, SKU and tenant ids. */
export const name = { type: 'string', minLength: 1, maxLength: 64, pattern: NAME_PATTERN } as const;

export const ORDER_ID_PATTERN = '^[A-Za-z0-9_-]{1,64}$';
export const orderId = { type: 'string', minLength: 1, maxLength: 64, pattern: ORDER_ID_PATTERN } as const;

/** Free text on one line: no control characters, not blank, and no card number in it. */
export const text = <const N extends number>(maxLength: N) =>
  ({ type: 'string', minLength: 1, maxLength, 'x-plain-text': true, 'x-no-card-number': true }) as const;

/** A time with its zone, RFC 3339. */
export const time = { type: 'string', maxLength: 35, format: 'date-time' } as const;

/** A number of units, from 1. */
export const qty = { type: 'integer', minimum: 1, maximum: LINE_UNITS_MAX } as const;

export const stockQty = { type: 'integer', minimum: 1, maximum: STOCK_UNITS_MAX } as const;

/** Minor units. */
export const unitPrice = { type: 'integer', minimum: 0, maximum: UNIT_PRICE_MAX } as const;

export const currency = { type: 'string', pattern: '^[A-Z]{3}$', 'x-currency': true } as const;

export const orderLines = {
  type: 'array',
  minItems: 1,
  maxItems: ORDER_LINES_MAX,
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['sku', 'qty'],
    properties: { sku: name, qty },
  },
} as const;

export const paymentMethod = {
  type: 'object',
  additionalProperties: false,
  required: ['type', 'token'],
  properties: {
    type: { type: 'string', enum: ['card', 'upi', 'wallet'] },
    token: {
      type: 'string',
      minLength: 1,
      maxLength: 255,
      pattern: '^[!-~]+$',
      'x-no-card-number': true,
    },
  },
} as const;

export const shippingAddress = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'line1', 'city', 'postal_code', 'country'],
  properties: {
    name: text(120),
    line1: text(200),
    line2: text(200),
    city: text(100),
    region: text(100),
    postal_code: text(20),
    country: { ...text(64), description: 'Best as an ISO 3166 code, such as ID' },
  },
} as const;

/** No card number fits a phone number's form with its +, and one in eight long numbers would be taken for one. */
export const contact = {
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  description:
    'Where the buyer is told what happens. Absent: `email` and `phone_number` of the token, if it has them',
  properties: {
    email: {
      type: 'string',
      minLength: 3,
      maxLength: EMAIL_LENGTH_MAX,
      pattern: EMAIL_PATTERN,
      'x-no-card-number': true,
    },
    phone: {
      type: 'string',
      maxLength: 16,
      pattern: PHONE_PATTERN,
      description: 'E.164, such as +6281234567890',
    },
  },
} as const;
