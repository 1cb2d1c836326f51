/** Bodies of answers, for the API document. Closed, like those of requests: tests hold real answers against them. */
import { ATTEMPT_STATES } from '../../domain/attempt-machine.ts';
import { ORDER_STATES } from '../../domain/order-machine.ts';
import { OUTCOME_CODES } from '../../domain/outcomes.ts';
import { GATES } from '../../domain/types.ts';
import { AUDIT_CHECKS } from '../../ledger/audit-checks.ts';
import {
  integer,
  integerOrNull,
  list,
  object,
  ref,
  type Schema,
  string,
  stringOrNull,
  time,
  timeOrNull,
} from './answer-parts.ts';
import { CERTIFICATE } from './certificate.ts';
import { orderAnswerSchemas } from './order-answers.ts';
import { WEBHOOK_ANSWER_SCHEMAS } from './webhook-answers.ts';

const saleState = {
  type: 'string',
  enum: [...GATES, 'recovering'],
  description: '`recovering`: its stock is being checked after a disturbance; it goes on by itself.',
} as const;

const amounts = object({
  currency: string,
  subtotal: integer,
  discount: integer,
  shipping: integer,
  tax: integer,
  total: integer,
});

const orderItems = list(object({ sku: string, qty: integer, unit_price: integer }));
const reservation = object({ expires_at: time, server_time: time });
const short = list(object({ sku: string, requested: integer, available: integer }));

const nextAction = {
  type: ['object', 'null'],
  additionalProperties: false,
  required: ['type'],
  properties: {
    type: { type: 'string', enum: ['wait', 'redirect', 'upi'] },
    url: { ...string, description: '`redirect`: a page to open. `upi`: a link for a UPI app' },
  },
  description: 'What the buyer has to do before the payment goes on',
} as const;

const payment = {
  no: integer,
  psp: string,
  type: { type: 'string', enum: ['card', 'upi', 'wallet'] },
  amount: integer,
  currency: string,
  state: { type: 'string', enum: ATTEMPT_STATES },
  decline_code: stringOrNull,
  next_action: nextAction,
} as const;

const shipment = {
  ...object({
    carrier: stringOrNull,
    tracking_number: stringOrNull,
    tracking_url: stringOrNull,
    recorded_at: time,
  }),
  type: ['object', 'null'],
} as const;

const contact = {
  ...object({ email: string, phone: string }, ['email', 'phone']),
  type: ['object', 'null'],
} as const;

const eventDetail = {
  ...object({ amount: integer, currency: string, code: string }, ['amount', 'currency', 'code']),
  type: ['object', 'null'],
  description: 'Money that moved, or why it did not',
} as const;

const saleItem = {
  sku: string,
  name: string,
  unit_price: integer,
  available: integer,
  held: integer,
} as const;

const sale = {
  id: string,
  state: saleState,
  currency: string,
  opens_at: timeOrNull,
  closes_at: timeOrNull,
  hold_seconds: { type: 'number' },
  limit_per_buyer: integer,
  server_time: time,
} as const;

const orderPayment = {
  ...payment,
  captured: integer,
  refunded: integer,
  reversal_wanted: { type: 'boolean' },
  created_at: time,
  updated_at: time,
} as const;

const order: Readonly<Record<string, Schema>> = {
  order_id: string,
  sale_id: string,
  state: { type: 'string', enum: ORDER_STATES },
  items: orderItems,
  amounts: ref('Amounts'),
  reservation,
  refunded: { ...integer, description: 'Minor units given back so far' },
  payments: list(object(orderPayment)),
  shipment,
  contact,
  history: list(
    object({
      at: time,
      from: { type: ['string', 'null'], enum: [...ORDER_STATES, null] },
      to: { type: 'string', enum: ORDER_STATES },
      cause: string,
      actor: string,
      detail: eventDetail,
    }),
  ),
  as_of: time,
  source: {
    type: 'string',
    enum: ['ledger', 'reservation'],
    description: '`reservation`: the ledger has not heard of the order yet, or is away.',
  },
};

export const ANSWER_SCHEMAS: Readonly<Record<string, Schema>> = {
  Reservation: {
    ...object({
      order_id: string,
      sale_id: string,
      state: { type: 'string', const: 'reserved' },
      items: orderItems,
      amounts: ref('Amounts'),
      reservation,
    }),
    description: 'The stock is yours until `expires_at`. A replay gives this answer again, verbatim.',
  },
  Amounts: {
    ...amounts,
    description: 'Integers in the minor unit of `currency`. total = subtotal - discount + shipping + tax.',
  },
  Order: object(order),
  ...orderAnswerSchemas(order, orderPayment),
  Payment: object({
    order_id: string,
    state: { type: 'string', enum: ORDER_STATES },
    payment: object(payment),
    reservation,
  }),
  Sale: object({ ...sale, items: list(object(saleItem)) }),
  CreatedSale: object({ ...sale, items: list(object({ ...saleItem, qty: integer })) }),
  SaleGate: object({ id: string, state: saleState, server_time: time }),
  Stock: object({
    sale_id: string,
    sku: string,
    state: saleState,
    unit_price: integer,
    currency: string,
    available: integer,
    held: integer,
    server_time: time,
  }),
  LiveMessage: {
    ...object({
      id: string,
      state: saleState,
      server_time: time,
      items: list(object({ sku: string, available: integer, held: integer })),
    }),
    description: 'The first message names every SKU, those after it what has changed.',
  },
  Topup: object({ id: string, added: list(object({ sku: string, qty: integer, total: integer })) }),
  Reduction: object({ id: string, taken: list(object({ sku: string, qty: integer })) }),
  Audit: object({
    id: string,
    balanced: {
      type: ['boolean', 'null'],
      description: 'null: not said, because a rebuild is reading what Redis had into the ledger.',
    },
    imbalance: integer,
    seq: integer,
    epoch: integer,
    movements: object({ applied_n: integer, acked_n: integer, sealed_n: integer }),
    fenced_reason: stringOrNull,
    live: {
      type: 'object',
      required: ['kind'],
      properties: {
        kind: { type: 'string', enum: ['agrees', 'differs', 'ahead', 'not_comparable', 'not_asked'] },
      },
    },
    items: list(
      object({
        sku: string,
        total: integer,
        reserved: integer,
        sold: integer,
        available: integer,
        held: integer,
        waiting_to_available: integer,
        waiting_from_held: integer,
        available_off: integer,
        held_off: integer,
      }),
    ),
    checks: list(
      object({
        check: { type: 'string', enum: AUDIT_CHECKS },
        violations: integer,
        examples: list(string),
        checked_at: time,
      }),
    ),
  }),
  Certificate: CERTIFICATE,
  SaleRebuild: object({
    id: string,
    fenced_reason: stringOrNull,
    rebuild: {
      ...object({
        phase: { type: 'string', enum: ['wanted', 'draining', 'sealing', 'staging', 'switching', 'done'] },
        reason: string,
        actor: string,
        requested_at: time,
        started_at: timeOrNull,
        finished_at: timeOrNull,
        attempts: integer,
        staged: integer,
        total: integer,
        epoch: integerOrNull,
        generation: integerOrNull,
        seq: integerOrNull,
        drained: object({ entries: integer, orders: integer, lost: integer }),
        error: stringOrNull,
      }),
      type: ['object', 'null'],
    },
  }),
  ...WEBHOOK_ANSWER_SCHEMAS,
  Received: object({ received: { type: 'boolean', const: true } }),
  Alive: object({ status: { type: 'string', const: 'ok' } }),
  Ready: object({
    status: { type: 'string', const: 'ok' },
    ledger: { type: 'string', enum: ['ok', 'away'] },
  }),
  DemoSession: object({ token: string, sale_id: string }),
  Problem: {
    ...object(
      {
        type: string,
        title: string,
        status: integer,
        code: { type: 'string', enum: OUTCOME_CODES },
        detail: string,
        request_id: string,
        errors: list(object({ path: string, message: string })),
        short,
        earliest_release_at: time,
        opens_at: time,
        limit: integer,
        held: integer,
        state: string,
        payment: { ...object(payment), description: 'How the latest payment of the order stands' },
        sku: string,
        left: integer,
        currency: string,
        missing: list(string),
      },
      [
        'errors',
        'short',
        'earliest_release_at',
        'opens_at',
        'limit',
        'held',
        'state',
        'payment',
        'sku',
        'left',
        'currency',
        'missing',
      ],
    ),
    description: 'A refusal (RFC 9457). `code` is stable; /docs/problems tells what each means.',
  },
};
