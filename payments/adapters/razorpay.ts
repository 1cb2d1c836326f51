/**
 * Razorpay: its Orders API and server-to-server payments for UPI, cards saved as tokens, and wallets; captured by us.
 * Documentation: razorpay.com/docs, and that of the official libraries.
 *
 * - `psp_ref` is the Razorpay order, made before anything is charged. Payments are made under it, and it can be paid
 *   once. Making a payment has no idempotency key there, so the order's payments are looked at before.
 * - An authorization can't be voided: whatever is not captured within the five days told in the order is given back by
 *   Razorpay. `void` says so, and does not capture to refund: that would charge a buyer who got nothing.
 * - An e-mail address and a phone number are required of every payment.
 * - INR only: other currencies need to be enabled, and only for cards.
 *
 * Tokens: of UPI `intent`, or the buyer's address to be asked (name@bank); of cards `token_...`; of wallets their code.
 */
import { createHash, createHmac } from 'node:crypto';
import { createJsonClient, type JsonAnswer } from '../http-json.ts';
import type { AuthorizeRequest, Capabilities, LookUp, Outcome, Payment, Psp } from '../port.ts';
import { bestOf, errorOf, type OrderPayment, orderPayment, webhookPayment } from './razorpay-payment.ts';
import { asFields, asList, asText, type Fields, isDigest, parseJson } from './reading.ts';
import { outcomeOfPayment } from './shown-payment.ts';

export type RazorpaySettings = {
  /** https://api.razorpay.com. */
  url: string;
  key_id: string;
  key_secret: string;
  webhook_secret: string;
  timeout_ms?: number;
  connections_max?: number;
};

const AUTHORIZATION_DAYS = 5;

const CAPABILITIES: Capabilities = {
  methods: ['card', 'upi', 'wallet'],
  currencies: ['INR'],
  captures_at_once: [],
  partial_refunds: true,
  closes_references: false,
  voids: false,
  authorization_days: AUTHORIZATION_DAYS,
};

/** A step is three calls at most, and has to end while its job is still ours. */
const TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 64;
const RECEIPT_CHARACTERS_MAX = 40;

type Looked = { kind: 'found'; found: OrderPayment | undefined } | { kind: 'unknown'; reason: string };

export function createRazorpayPsp(settings: RazorpaySettings): Psp {
  const basic = Buffer.from(`${settings.key_id}:${settings.key_secret}`).toString('base64');
  const client = createJsonClient({
    base_url: settings.url,
    headers: { accept: 'application/json', authorization: `Basic ${basic}` },
    timeout_ms: settings.timeout_ms ?? TIMEOUT_MS,
    connections_max: settings.connections_max ?? CONNECTIONS_MAX,
  });

  async function look(reference: string, order_id: string): Promise<Looked> {
    const answer = await client.call('GET', `/v1/orders/${encodeURIComponent(order_id)}/payments`);
    return paymentsOf(answer, reference);
  }

  /** Looks, and goes on with the payment that was made under the order, if there is one. */
  async function withPayment(
    request: { reference: string; psp_ref: string | null },
    go_on: (found: OrderPayment) => Promise<Outcome> | Outcome,
  ): Promise<Outcome> {
    if (request.psp_ref === null) return { kind: 'declined', code: 'not_found' };
    const looked = await look(request.reference, request.psp_ref);
    if (looked.kind === 'unknown') return looked;
    return looked.found ? go_on(looked.found) : { kind: 'declined', code: 'not_found' };
  }

  return {
    name: 'razorpay',
    capabilities: CAPABILITIES,

    async create({ reference, order_id, amount, currency, contact }) {
      if (currency !== 'INR') return { kind: 'declined', code: 'currency_not_supported' };
      if (!contact?.email || !contact.phone) return { kind: 'declined', code: 'contact_required' };
      const answer = await client.call('POST', '/v1/orders', {
        body: {
          amount,
          currency,
          receipt: reference,
          notes: { reference, order_id },
          payment: {
            capture: 'manual',
            capture_options: { manual_expiry_period: AUTHORIZATION_DAYS * 24 * 60, refund_speed: 'normal' },
          },
        },
      });
      const refused = refusalOf(answer);
      if (refused) return refused.kind === 'declined' ? { kind: 'declined', code: refused.code } : refused;
      const id = asText(bodyOf(answer)?.id);
      return id ? { kind: 'created', psp_ref: id } : { kind: 'unknown', reason: 'unreadable' };
    },

    async authorize(request) {
      const { reference, psp_ref, contact } = request;
      if (psp_ref === null) return { kind: 'unknown', reason: 'not_created' };
      if (!contact?.email || !contact.phone) return { kind: 'declined', code: 'contact_required' };
      const looked = await look(reference, psp_ref);
      if (looked.kind === 'unknown') return looked;
      if (looked.found) return outcomeOfPayment(looked.found.payment);
      const upi = request.payment_method.type === 'upi';
      const answer = await client.call('POST', `/v1/payments/create/${upi ? 'upi' : 'json'}`, {
        body: paymentBody(request, psp_ref),
      });
      const refused = refusalOf(answer);
      if (refused) return refused;
      const made = madeOf(bodyOf(answer), request, psp_ref);
      if (made) return made;
      // Authorized without any action of the buyer: their answer does not say how it stands.
      const after = await look(reference, psp_ref);
      if (after.kind === 'unknown') return after;
      return after.found ? outcomeOfPayment(after.found.payment) : { kind: 'unknown', reason: 'unreadable' };
    },

    capture: ({ amount, currency, ...request }) =>
      withPayment(request, async (found) => {
        if (found.payment.status !== 'authorized') return notOpen(found, 'captured');
        const answer = await client.call('POST', `/v1/payments/${found.id}/capture`, {
          body: { amount, currency },
        });
        const refused = refusalOf(answer);
        if (refused) return refused;
        const captured = orderPayment(bodyOf(answer), request.reference)?.payment;
        if (captured?.status !== 'captured') return { kind: 'unknown', reason: 'unreadable' };
        return { kind: 'approved', payment: captured };
      }),

    void: (request) =>
      withPayment(request, (found) => {
        if (found.payment.status !== 'authorized') return notOpen(found, 'voided');
        return { kind: 'declined', code: 'void_not_supported', payment: found.payment };
      }),

    refund: ({ amount, idempotency_key, ...request }) =>
      withPayment(request, async (found) => {
        const { payment } = found;
        if (payment.status !== 'captured') return notOpen(found, 'refunded');
        const answer = await client.call('POST', `/v1/payments/${found.id}/refund`, {
          // Letters, digits, dashes and underscores.
          headers: { 'x-refund-idempotency': idempotency_key.replaceAll(':', '_') },
          body: {
            amount,
            speed: 'normal',
            receipt: digestOf(idempotency_key).slice(0, RECEIPT_CHARACTERS_MAX),
            notes: { reference: request.reference },
          },
        });
        return refundOutcomeOf(answer, payment, amount);
      }),

    async lookUp({ reference, psp_ref }): Promise<LookUp> {
      if (psp_ref === null) return { kind: 'absent' };
      const looked = await look(reference, psp_ref);
      if (looked.kind === 'unknown') return looked;
      return looked.found ? { kind: 'found', payment: looked.found.payment } : { kind: 'absent' };
    },

    verifyWebhook(headers, raw) {
      const signature = headers['x-razorpay-signature'];
      if (signature === undefined) return { kind: 'refused', reason: 'signature missing' };
      const digest = createHmac('sha256', settings.webhook_secret).update(raw).digest();
      if (!isDigest(signature, digest)) return { kind: 'refused', reason: 'signature wrong' };
      if (!headers['x-razorpay-event-id']) return { kind: 'refused', reason: 'no event' };
      const body = asFields(parseJson(raw));
      if (!asText(body?.event)) return { kind: 'refused', reason: 'no event' };
      // Their id of the event is a header that is not signed: whoever has an old webhook could send it under a new one.
      // What is signed is the same whenever it is sent, so its digest is the event's name.
      return { kind: 'genuine', event_id: createHash('sha256').update(raw).digest('base64url'), body };
    },

    readEvent: (body) => webhookPayment(asFields(body)),
    close: () => client.close(),
  };
}

function bodyOf(answer: JsonAnswer): Fields | undefined {
  return answer.kind === 'answer' ? asFields(answer.body) : undefined;
}

function digestOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

function paymentBody(request: AuthorizeRequest, razorpay_order: string): object {
  const { reference, amount, currency, contact, payment_method, return_url } = request;
  const { type, token } = payment_method;
  const common = {
    amount,
    currency,
    order_id: razorpay_order,
    email: contact?.email,
    contact: contact?.phone,
    method: type,
    notes: { reference, order_id: request.order_id },
  };
  switch (type) {
    case 'upi': {
      const minutes = Math.max(5, Math.floor((request.expires_at.getTime() - Date.now()) / 60_000));
      const collect = { flow: 'collect', vpa: token, expiry_time: minutes };
      return { ...common, upi: token === 'intent' ? { flow: 'intent' } : collect };
    }
    case 'card':
      return { ...common, token, callback_url: return_url };
    case 'wallet':
      return { ...common, wallet: token, callback_url: return_url };
  }
}

/** A payment that waits for its buyer; undefined where the answer names no further step. */
function madeOf(body: Fields | undefined, request: AuthorizeRequest, psp_ref: string): Outcome | undefined {
  if (!asText(body?.razorpay_payment_id)) return { kind: 'unknown', reason: 'unreadable' };
  const { reference, amount, currency } = request;
  const link = asText(body?.link);
  const page = asText(asList(body?.next)?.find((step) => step.action === 'redirect')?.url);
  if (!link && !page && request.payment_method.type !== 'upi') return undefined;
  const next_action = link
    ? ({ type: 'upi', url: link } as const)
    : page
      ? ({ type: 'redirect', url: page } as const)
      : ({ type: 'wait' } as const);
  const payment: Payment = {
    ...{ reference, psp_ref, amount, currency, next_action },
    ...{ status: 'pending', captured: 0, refunded: 0, decline_code: null },
  };
  return { kind: 'pending', payment, next_action };
}

/** What a step that came too late, or early, is answered with. */
function notOpen({ payment }: OrderPayment, wanted: Payment['status']): Outcome {
  if (payment.status === wanted) return { kind: 'approved', payment };
  const code = payment.status === 'pending' ? 'processing' : 'invalid_state';
  return { kind: 'declined', code, payment };
}

function paymentsOf(answer: JsonAnswer, reference: string): Looked {
  if (answer.kind === 'none') return { kind: 'unknown', reason: answer.reason };
  const body = asFields(answer.body);
  // An order that is not theirs has no payments.
  if (answer.http_status === 400 && /does not exist/.test(asText(errorOf(body)?.description) ?? '')) {
    return { kind: 'found', found: undefined };
  }
  const items = asList(body?.items);
  if (answer.http_status !== 200 || !items) return { kind: 'unknown', reason: `http_${answer.http_status}` };
  const payments = items.map((item) => orderPayment(item, reference));
  if (payments.includes(undefined)) return { kind: 'unknown', reason: 'unreadable' };
  return { kind: 'found', found: bestOf(payments.filter((payment) => payment !== undefined)) };
}

type Refused = Extract<Outcome, { kind: 'declined' | 'unknown' }>;

/** Undefined for an answer that refuses nothing. A gateway's or a server's error proves nothing. */
function refusalOf(answer: JsonAnswer): Refused | undefined {
  if (answer.kind === 'none') return { kind: 'unknown', reason: answer.reason };
  if (answer.http_status === 200) return undefined;
  const error = errorOf(asFields(answer.body));
  if (answer.http_status === 400 && error?.code === 'BAD_REQUEST_ERROR') {
    return { kind: 'declined', code: error.reason ?? 'invalid_request' };
  }
  const { http_status } = answer;
  const answered = http_status >= 500 && http_status !== 503;
  return { kind: 'unknown', reason: `http_${http_status}`, ...(answered ? { answered } : {}) };
}

function refundOutcomeOf(answer: JsonAnswer, before: Payment, amount: number): Outcome {
  const error = errorOf(bodyOf(answer));
  // Something was done under this key: a look tells what.
  if (error && /idempotency/i.test(error.description ?? '')) {
    return { kind: 'unknown', reason: 'key_reused', answered: true };
  }
  const refused = refusalOf(answer);
  if (refused) return refused.kind === 'declined' ? { ...refused, payment: before } : refused;
  const refund = bodyOf(answer);
  if (refund?.status === 'failed') return { kind: 'declined', code: 'refund_rejected', payment: before };
  if (refund?.amount !== amount || !asText(refund?.id)) return { kind: 'unknown', reason: 'unreadable' };
  const refunded = before.refunded + amount;
  const status = refunded === before.captured ? 'refunded' : 'captured';
  return { kind: 'approved', payment: { ...before, refunded, status } };
}
