/**
 * PayPal Orders v2 with intent AUTHORIZE, and Payments v2. Documentation: developer.paypal.com, and its OpenAPI files.
 *
 * - `psp_ref` is the PayPal order, made before anything is held. A buyer approves it on PayPal's page; holding the
 *   money is a call of ours after that, and needs no page where the token is a vaulted payment method.
 * - As long as nothing was held a look reads `absent`, for nothing will be without that call: so who looks may ask.
 * - Every step reads the order first: an authorization or a capture that is there is not asked for again.
 * - The order's `custom_id` and `invoice_id` are our reference; PayPal lets an invoice be paid once. `reference_id` is
 *   the shop's order.
 *
 * Tokens: of a wallet `paypal` (the buyer approves), or the id of a vaulted PayPal; of a card the id of a vaulted card.
 */
import { createJsonClient, type JsonAnswer } from '../http-json.ts';
import type { AuthorizeRequest, Capabilities, LookUp, Outcome, Payment, Psp } from '../port.ts';
import { toDecimal } from './amounts.ts';
import { declineCode, isNothingDone, issueOf } from './paypal-errors.ts';
import {
  approvalOf,
  captureOf,
  DECIMALS,
  eventPayment,
  type PayPalOrder,
  readOrder,
} from './paypal-order.ts';
import { createAccessToken } from './paypal-token.ts';
import { createWebhookVerifier } from './paypal-webhook.ts';
import { asFields, asText, type Fields } from './reading.ts';
import { outcomeOfPayment } from './shown-payment.ts';

export type PayPalSettings = {
  /** https://api-m.paypal.com, or https://api-m.sandbox.paypal.com. */
  url: string;
  client_id: string;
  client_secret: string;
  /** Of the webhook in PayPal's dashboard: part of what is signed. */
  webhook_id: string;
  timeout_ms?: number;
  connections_max?: number;
};

const CAPABILITIES: Capabilities = {
  methods: ['card', 'wallet'],
  currencies: Object.keys(DECIMALS),
  captures_at_once: [],
  partial_refunds: true,
  closes_references: false,
  // Of 29 days in all; after these PayPal does not promise the money any more.
  authorization_days: 3,
};

/** A step is three calls at most, and has to end while its job is still ours. */
const TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 64;
/** The buyer approves on PayPal's page. */
const APPROVAL_TOKEN = 'paypal';

type Looked = { kind: 'found'; order: PayPalOrder } | Exclude<LookUp, { kind: 'found' }>;

export function createPayPalPsp(settings: PayPalSettings): Psp {
  const client = createJsonClient({
    base_url: settings.url,
    headers: { accept: 'application/json' },
    timeout_ms: settings.timeout_ms ?? TIMEOUT_MS,
    connections_max: settings.connections_max ?? CONNECTIONS_MAX,
  });
  const token = createAccessToken(client, settings);
  const verifier = createWebhookVerifier(settings);

  /** A 401 proves that nothing was done: once more with a new access token. */
  async function call(
    method: 'GET' | 'POST',
    path: string,
    key?: string,
    body?: object,
  ): Promise<JsonAnswer> {
    for (let first = true; ; first = false) {
      const granted = await token.get();
      if (granted.kind !== 'granted') return { kind: 'none', reason: granted.reason };
      const answer = await client.call(method, path, {
        headers: {
          authorization: `Bearer ${granted.access_token}`,
          ...(key ? { 'paypal-request-id': key, prefer: 'return=representation' } : {}),
        },
        ...(body ? { body } : {}),
      });
      if (answer.kind !== 'answer' || answer.http_status !== 401 || !first) return answer;
      token.forget(granted.access_token);
    }
  }

  async function look(reference: string, id: string): Promise<Looked> {
    const answer = await call('GET', `/v2/checkout/orders/${encodeURIComponent(id)}`);
    if (answer.kind === 'none') return { kind: 'unknown', reason: answer.reason };
    if (answer.http_status === 404 && issueOf(answer)) return { kind: 'absent' };
    const order = answer.http_status === 200 ? readOrder(asFields(answer.body), reference) : undefined;
    if (!order) return { kind: 'unknown', reason: `http_${answer.http_status}` };
    return { kind: 'found', order };
  }

  async function withOrder(
    request: { reference: string; psp_ref: string | null },
    go_on: (order: PayPalOrder) => Promise<Outcome> | Outcome,
  ): Promise<Outcome> {
    if (request.psp_ref === null) return { kind: 'declined', code: 'not_found' };
    const looked = await look(request.reference, request.psp_ref);
    if (looked.kind === 'unknown') return looked;
    return looked.kind === 'found' ? go_on(looked.order) : { kind: 'declined', code: 'expired' };
  }

  return {
    name: 'paypal',
    capabilities: CAPABILITIES,

    async create(request) {
      const value = toWire(request.amount, request.currency);
      if (value === undefined) return refusedMoney(request.currency);
      const body = orderBody(request, value);
      const answer = await call('POST', '/v2/checkout/orders', request.idempotency_key, body);
      const refused = refusalOf(answer);
      if (refused) return refused.kind === 'declined' ? { kind: 'declined', code: refused.code } : refused;
      const id = asText(bodyOf(answer)?.id);
      return id ? { kind: 'created', psp_ref: id } : { kind: 'unknown', reason: 'unreadable' };
    },

    authorize: (request) =>
      withOrder(request, async (order) => {
        if (order.payment) return outcomeOf(order.payment);
        const source = sourceOf(request);
        if (order.status === 'VOIDED') return { kind: 'declined', code: 'canceled' };
        if (!source && order.status !== 'APPROVED') return awaitApproval(order, request);
        // Approved after the vaulted method asked for it: that call had the step's key, and its answer would come again.
        const confirmed = source !== undefined && order.status === 'APPROVED';
        const answer = await call(
          'POST',
          `/v2/checkout/orders/${encodeURIComponent(order.id)}/authorize`,
          confirmed ? `${request.idempotency_key}:approved` : request.idempotency_key,
          source && !confirmed ? { payment_source: source } : {},
        );
        const refused = refusalOf(answer);
        if (refused) return refused;
        const after = readOrder(bodyOf(answer), request.reference);
        if (after?.payment) return outcomeOf(after.payment);
        if (after && approvalOf(after)) return awaitApproval(after, request);
        return { kind: 'unknown', reason: 'unreadable' };
      }),

    capture: ({ amount, currency, idempotency_key, ...request }) =>
      withOrder(request, async (order) => {
        const { payment, authorization_id } = order;
        if (!payment || !authorization_id) return { kind: 'declined', code: 'not_found' };
        if (payment.status !== 'authorized') return notOpen(payment, 'captured');
        const value = toWire(amount, currency);
        if (value === undefined) return refusedMoney(currency);
        const path = `/v2/payments/authorizations/${encodeURIComponent(authorization_id)}/capture`;
        const answer = await call('POST', path, idempotency_key, {
          amount: { currency_code: currency, value },
          invoice_id: request.reference,
          final_capture: true,
        });
        const refused = refusalOf(answer);
        if (refused) return refused;
        const capture = captureOf(bodyOf(answer));
        if (!capture) return { kind: 'unknown', reason: 'unreadable' };
        if (capture.status === 'declined') return { kind: 'declined', code: 'card_declined', payment };
        if (capture.status === 'pending') return outcomeOf({ ...payment, status: 'pending' });
        return outcomeOf({ ...payment, status: 'captured', captured: capture.amount });
      }),

    void: ({ idempotency_key, ...request }) =>
      withOrder(request, async (order) => {
        const { payment, authorization_id } = order;
        if (!payment || !authorization_id) return { kind: 'declined', code: 'not_found' };
        if (payment.status !== 'authorized') return notOpen(payment, 'voided');
        const path = `/v2/payments/authorizations/${encodeURIComponent(authorization_id)}/void`;
        const answer = await call('POST', path, idempotency_key);
        return refusalOf(answer) ?? outcomeOf({ ...payment, status: 'voided' });
      }),

    refund: ({ amount, currency, idempotency_key, ...request }) =>
      withOrder(request, async (order) => {
        const { payment, capture_id } = order;
        if (!payment || !capture_id) return { kind: 'declined', code: 'invalid_state' };
        if (payment.status !== 'captured') return notOpen(payment, 'refunded');
        const value = toWire(amount, currency);
        if (value === undefined) return refusedMoney(currency);
        const path = `/v2/payments/captures/${encodeURIComponent(capture_id)}/refund`;
        const answer = await call('POST', path, idempotency_key, {
          amount: { currency_code: currency, value },
          custom_id: request.reference,
        });
        const refused = refusalOf(answer);
        if (refused) return refused;
        const status = asText(bodyOf(answer)?.status);
        if (status === 'FAILED' || status === 'CANCELLED')
          return { kind: 'declined', code: 'refund_rejected', payment };
        // Taken up: its money counts as given back once it is.
        if (status === 'PENDING') return { kind: 'approved', payment };
        if (status !== 'COMPLETED') return { kind: 'unknown', reason: 'unreadable' };
        const refunded = payment.refunded + amount;
        const whole = refunded >= payment.captured;
        return outcomeOf({ ...payment, refunded, status: whole ? 'refunded' : 'captured' });
      }),

    async lookUp({ reference, psp_ref }): Promise<LookUp> {
      if (psp_ref === null) return { kind: 'absent' };
      const looked = await look(reference, psp_ref);
      if (looked.kind !== 'found') return looked;
      const { payment } = looked.order;
      return payment ? { kind: 'found', payment } : { kind: 'absent' };
    },

    verifyWebhook: (headers, raw, now_ms) => verifier.verify(headers, raw, now_ms),
    readEvent: (body) => eventPayment(asFields(body)),
    close: () => client.close(),
  };
}

/** Their decimals; undefined for a currency that they don't take, or an amount that they can't write. */
function toWire(amount: number, currency: string): string | undefined {
  return Object.hasOwn(DECIMALS, currency) ? toDecimal(amount, currency, DECIMALS[currency]) : undefined;
}

function refusedMoney(currency: string): { kind: 'declined'; code: string } {
  const known = Object.hasOwn(DECIMALS, currency);
  return { kind: 'declined', code: known ? 'amount_not_supported' : 'currency_not_supported' };
}

function bodyOf(answer: JsonAnswer): Fields | undefined {
  return answer.kind === 'answer' ? asFields(answer.body) : undefined;
}

function orderBody(request: AuthorizeRequest, value: string): object {
  const { reference, currency } = request;
  const experience_context = {
    ...waysBack(request),
    ...{ user_action: 'PAY_NOW', shipping_preference: 'NO_SHIPPING' },
  };
  return {
    intent: 'AUTHORIZE',
    purchase_units: [
      {
        reference_id: request.order_id,
        custom_id: reference,
        invoice_id: reference,
        amount: { currency_code: currency, value },
      },
    ],
    // With a vaulted method in it the order would be paid with its making.
    ...(sourceOf(request) ? {} : { payment_source: { paypal: { experience_context } } }),
  };
}

/** The vaulted payment method; undefined where the buyer approves on PayPal's page. */
function sourceOf(request: AuthorizeRequest): object | undefined {
  const { type, token } = request.payment_method;
  const vaulted = { vault_id: token, experience_context: waysBack(request) };
  if (type === 'card') return { card: vaulted };
  return token === APPROVAL_TOKEN ? undefined : { paypal: vaulted };
}

/** Where its pages lead, also that of a bank that wants 3-D Secure. */
function waysBack({ return_url }: AuthorizeRequest): object {
  return { return_url, cancel_url: return_url };
}

function awaitApproval(order: PayPalOrder, request: AuthorizeRequest): Outcome {
  const url = approvalOf(order);
  const payment: Payment = {
    ...{ reference: request.reference, psp_ref: order.id, status: 'pending', amount: order.amount },
    ...{ captured: 0, refunded: 0, currency: order.currency, decline_code: null, next_action: null },
  };
  return { kind: 'pending', payment, next_action: url ? { type: 'redirect', url } : { type: 'wait' } };
}

const outcomeOf = (payment: Payment): Outcome => outcomeOfPayment(payment, 'card_declined');

/** What a step that came too late, or early, is answered with. */
function notOpen(payment: Payment, wanted: Payment['status']): Outcome {
  if (payment.status === wanted) return { kind: 'approved', payment };
  const code = payment.status === 'pending' ? 'processing' : 'invalid_state';
  return { kind: 'declined', code, payment };
}

type Refused = Extract<Outcome, { kind: 'declined' | 'unknown' }>;

/** Undefined for an answer that refuses nothing. */
function refusalOf(answer: JsonAnswer): Refused | undefined {
  if (answer.kind === 'none') return { kind: 'unknown', reason: answer.reason };
  const { http_status } = answer;
  if (http_status >= 200 && http_status < 300) return undefined;
  const issue = issueOf(answer);
  if (issue && isNothingDone(http_status, issue)) return { kind: 'declined', code: declineCode(issue) };
  const answered = (http_status >= 500 && http_status !== 503) || http_status === 422;
  return { kind: 'unknown', reason: `http_${http_status}`, ...(answered ? { answered } : {}) };
}
