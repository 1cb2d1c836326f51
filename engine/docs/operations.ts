/** What each route is for, in words: with its row in the table (routes.ts) this is the API document. */
import type { OutcomeCode } from '../../domain/outcomes.ts';
import { certificateQuery } from '../schemas/certificate.ts';
import type { BodySchema } from '../schemas/validate.ts';
import { ORDER_OPERATIONS } from './order-operations.ts';
import { WEBHOOK_OPERATIONS } from './webhook-operations.ts';

export type AnswerDoc = {
  description: string;
  /** A name in ANSWER_SCHEMAS. */
  schema?: string;
  /** Where it is not JSON. */
  content_type?: string;
  headers?: readonly ('Location' | 'Idempotent-Replayed')[];
};

export type OperationDoc = {
  tag: 'Buying' | 'Sales' | 'Merchants' | 'Operators' | 'Payment providers' | 'Operations';
  summary: string;
  description?: string;
  /** Query parameters: name -> meaning. All are required. */
  query?: Readonly<Record<string, string>>;
  /** Query parameters that may be there: an object's schema, one member each. */
  filters?: BodySchema<unknown> & { properties: Readonly<Record<string, { description?: string }>> };
  answers: Readonly<Record<number, AnswerDoc>>;
  /** Besides those that follow from the table: token, body, key, limits. */
  refusals?: readonly OutcomeCode[];
};

const SALE: readonly OutcomeCode[] = ['not_found', 'sale_recovering', 'unavailable'];
const TAKING: readonly OutcomeCode[] = [
  ...SALE,
  'sold_out',
  'temporarily_held',
  'purchase_limit_reached',
  'idempotency_key_reused',
  'unknown_sku',
  'sale_not_open',
  'sale_closed',
  'sale_paused',
  'overloaded',
];
const LEDGER: readonly OutcomeCode[] = ['not_found', 'unavailable'];

const reserved: AnswerDoc = {
  description: 'Reserved. With `Idempotent-Replayed: true` the first answer to this key, again.',
  schema: 'Reservation',
  headers: ['Location', 'Idempotent-Replayed'],
};
const gate = (summary: string): OperationDoc => ({
  tag: 'Operators',
  summary,
  answers: { 200: { description: 'Redis has it: it counts from now on.', schema: 'SaleGate' } },
  refusals: [...SALE, 'invalid_state'],
});

export const OPERATIONS: Readonly<Record<string, OperationDoc>> = {
  checkout: {
    tag: 'Buying',
    summary: 'Buy: reserve the stock, pay by saga',
    description:
      'The main road. After the 201 the stock is yours; payment and confirmation follow by themselves, and the order tells how far they are. A 5xx or a timeout is always safe to retry with the same Idempotency-Key.',
    answers: { 201: reserved },
    refusals: TAKING,
  },
  lock: {
    tag: 'Buying',
    summary: 'Reserve only',
    description: 'The stepwise road: then payment/initiate, then checkout/confirm, before `expires_at`.',
    answers: { 201: reserved },
    refusals: TAKING,
  },
  initiate: {
    tag: 'Buying',
    summary: 'Start paying a reserved order',
    description:
      'The hold is extended once. The same key finds the same payment; another try takes a new key. A method that the provider of the sale does not take: 400, and no try is used up.',
    answers: {
      200: {
        description: 'The outcome is known: see `payment.state`.',
        schema: 'Payment',
        headers: ['Location', 'Idempotent-Replayed'],
      },
      202: {
        description: 'Not known yet: look at the order.',
        schema: 'Payment',
        headers: ['Location', 'Idempotent-Replayed'],
      },
    },
    refusals: [...LEDGER, 'invalid_state', 'reservation_expired', 'idempotency_key_reused'],
  },
  confirm: {
    tag: 'Buying',
    summary: 'Confirm an authorized order',
    description:
      'Again: the same answer. While its payment is not authorized: 409 `invalid_state` with `payment`, which says what is missing.',
    answers: { 200: { description: 'Confirmed; the stock is sold.', schema: 'Order' } },
    refusals: [...LEDGER, 'invalid_state', 'reservation_expired'],
  },
  order: {
    tag: 'Buying',
    summary: 'How an order stands',
    description:
      "Right from the first millisecond after the 201, also while the ledger lags or is away. Owner only: anybody else's order is a 404.",
    answers: { 200: { description: 'The order.', schema: 'Order' } },
    refusals: LEDGER,
  },
  cancel: {
    tag: 'Buying',
    summary: 'Cancel an order before it is shipped',
    description: 'Money goes back, and so does the stock. Again: the same answer.',
    answers: { 200: { description: 'Canceled.', schema: 'Order' } },
    refusals: [...LEDGER, 'invalid_state', 'reservation_expired'],
  },
  sale: {
    tag: 'Sales',
    summary: 'A sale, its prices and what is left',
    answers: { 200: { description: 'The sale.', schema: 'Sale' } },
    refusals: SALE,
  },
  inventory: {
    tag: 'Sales',
    summary: 'What is left of one SKU',
    query: { sale_id: 'The sale.' },
    answers: { 200: { description: 'The stock.', schema: 'Stock' } },
    refusals: [...SALE, 'invalid_request'],
  },
  live: {
    tag: 'Sales',
    summary: 'Stock and state as they change (WebSocket)',
    description:
      'Connect with a WebSocket. Messages are a `LiveMessage` each, at most ten a second; what you send is ignored.',
    answers: { 101: { description: 'Switched to WebSocket.' } },
    refusals: [...SALE, 'invalid_request'],
  },
  webhook: {
    tag: 'Payment providers',
    summary: 'An event from a payment provider',
    description:
      'Signed by the provider over the raw bytes. Stored once; the same event again is answered 200.',
    answers: { 200: { description: 'Stored.', schema: 'Received' } },
    refusals: [...LEDGER, 'unauthorized', 'payload_too_large'],
  },
  ...WEBHOOK_OPERATIONS,
  create_sale: {
    tag: 'Operators',
    summary: 'Create a sale',
    description: 'The same body again gives the same answer. `opens_at` absent: open now.',
    answers: { 201: { description: 'Created and on sale.', schema: 'CreatedSale', headers: ['Location'] } },
    refusals: ['sale_exists', 'sale_recovering', 'unavailable'],
  },
  open: gate('Open a sale now'),
  pause: gate('Pause a sale'),
  resume: gate('Resume a paused sale'),
  close: gate('Close a sale for good'),
  topup: {
    tag: 'Operators',
    summary: 'Add units to a sale',
    answers: {
      200: {
        description: 'Added; they come on sale in a moment.',
        schema: 'Topup',
        headers: ['Idempotent-Replayed'],
      },
    },
    refusals: [...LEDGER, 'unknown_sku', 'idempotency_key_reused'],
  },
  reduce: {
    tag: 'Operators',
    summary: 'Take units out of a sale',
    description: 'Of each SKU at most what is available now; the answer says what was taken.',
    answers: {
      200: { description: 'Taken out.', schema: 'Reduction', headers: ['Idempotent-Replayed'] },
    },
    refusals: [...SALE, 'unknown_sku', 'idempotency_key_reused'],
  },
  ...ORDER_OPERATIONS,
  audit: {
    tag: 'Operators',
    summary: 'Do the books balance?',
    description:
      'At the stream position `seq`, per SKU: available = total - reserved - sold - waiting_to_available, and held = reserved + waiting_from_held. `live` compares with Redis where both stand at the same position. `checks` are what the reconcilers find all the time, each of which must have 0 violations; docs/certificate.md lists them.',
    answers: { 200: { description: 'The equation.', schema: 'Audit' } },
    refusals: LEDGER,
  },
  certificate: {
    tag: 'Operators',
    summary: 'What a sale came to',
    description:
      'The certificate of a closed sale whose orders and payments are at their end: totals, the equation of every SKU, and the head of the hash chain over its history. `sha256` is of the compact JSON of `certificate`, `signature` (Ed25519, where the deployment has a key) of `stampede certificate 1\\n` and that hash. The evidence, event by event, is written by `npx stampede certificate`.',
    filters: certificateQuery,
    answers: { 200: { description: 'The certificate.', schema: 'Certificate' } },
    refusals: [...LEDGER, 'certificate_not_ready', 'invalid_request'],
  },
  rebuild: {
    tag: 'Operators',
    summary: "Rebuild a sale's memory in Redis from the ledger",
    description:
      "The sale is closed (`sale_recovering`), rebuilt and opened again; engines go on by themselves, and every key is answered as before. One that is under way is told again and not begun anew. Where Redis can't be trusted this happens without being asked for.",
    answers: {
      202: { description: 'It is going to be rebuilt.', schema: 'SaleRebuild', headers: ['Location'] },
    },
    refusals: SALE,
  },
  rebuild_progress: {
    tag: 'Operators',
    summary: 'How far a rebuild is',
    description:
      'The one under way, or else the last: its phase, and how many of the records and counters are written. `rebuild` is null where there never was one. `drained.lost` counts positions of the stream that nobody has any more.',
    answers: { 200: { description: 'Progress, or the result.', schema: 'SaleRebuild' } },
    refusals: LEDGER,
  },
  livez: {
    tag: 'Operations',
    summary: 'Does the process live?',
    answers: { 200: { description: 'It does.', schema: 'Alive' } },
  },
  readyz: {
    tag: 'Operations',
    summary: 'Can it sell?',
    description: 'Needs Redis, not the ledger. The 503 names what is missing.',
    answers: { 200: { description: 'It can.', schema: 'Ready' } },
    refusals: ['unavailable'],
  },
  metrics: {
    tag: 'Operations',
    summary: 'Metrics for Prometheus',
    answers: { 200: { description: 'Text exposition format.', content_type: 'text/plain' } },
  },
  openapi: {
    tag: 'Operations',
    summary: 'This document',
    answers: { 200: { description: 'OpenAPI 3.1.', content_type: 'application/json' } },
  },
  docs: {
    tag: 'Operations',
    summary: 'This document as a page',
    answers: { 200: { description: 'HTML.', content_type: 'text/html' } },
  },
  problems: {
    tag: 'Operations',
    summary: 'Every refusal explained',
    answers: { 200: { description: 'HTML.', content_type: 'text/html' } },
  },
  demo_session: {
    tag: 'Operations',
    summary: 'A buyer for the demo sale (local stack only)',
    answers: { 200: { description: 'A token of a new buyer.', schema: 'DemoSession' } },
  },
};
