/**
 * Midtrans Core API v2: cards by pre-authorization with 3-D Secure, GoPay and QRIS. Documentation: docs.midtrans.com.
 *
 * - Its `order_id` is our reference, and unique there for ever: a second charge under it is refused with 406. Its
 *   Idempotency-Key lasts five minutes only, so it saves a look, no more.
 * - IDR only, in whole rupiah: no decimals are sent, and what has some is refused.
 * - An answer's own `status_code` counts, not the HTTP status: denials and errors come with HTTP 200, too.
 * - Captured money is given back by `cancel` until the day's settlement, by `refund` after it; a part only after it.
 * - A notification's signature does not cover the transaction's status. So a genuine one is a hint, and what is kept is
 *   what Midtrans answers when asked for the status: what the official libraries do as well.
 *
 * Tokens: a card's `token_id`. For a wallet `gopay`, `qris`, or the id of a GoPay account that its owner has linked.
 */
import { createHash } from 'node:crypto';
import { createJsonClient, type JsonAnswer } from '../http-json.ts';
import type { AuthorizeRequest, Capabilities, LookUp, Outcome, Payment, Psp } from '../port.ts';
import { toDecimal } from './amounts.ts';
import { denialCode, paymentOf, statusCodeOf } from './midtrans-payment.ts';
import { asFields, asText, type Fields, isDigest, parseJson } from './reading.ts';
import { outcomeOfPayment } from './shown-payment.ts';

export type MidtransSettings = {
  /** https://api.midtrans.com, or https://api.sandbox.midtrans.com. */
  url: string;
  /** Of the API, and of its notifications' signatures. */
  server_key: string;
  timeout_ms?: number;
  connections_max?: number;
};

const CAPABILITIES: Capabilities = {
  methods: ['card', 'wallet'],
  currencies: ['IDR'],
  captures_at_once: ['wallet'],
  partial_refunds: true,
  closes_references: false,
  authorization_days: 7,
};

/** A step is three calls at most, and has to end while its job is still ours. */
const TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 64;
/** Longer ones are ignored, says the documentation. */
const KEY_CHARACTERS_MAX = 46;

export function createMidtransPsp(settings: MidtransSettings): Psp {
  const client = createJsonClient({
    base_url: settings.url,
    headers: {
      accept: 'application/json',
      authorization: `Basic ${Buffer.from(`${settings.server_key}:`).toString('base64')}`,
    },
    timeout_ms: settings.timeout_ms ?? TIMEOUT_MS,
    connections_max: settings.connections_max ?? CONNECTIONS_MAX,
  });

  const post = (path: string, idempotency_key: string, body: object): Promise<JsonAnswer> =>
    client.call('POST', path, { headers: { 'idempotency-key': shortKey(idempotency_key) }, body });

  const status = async (reference: string): Promise<Status> =>
    lookUpOf(await client.call('GET', `/v2/${encodeURIComponent(reference)}/status`));

  async function cancel(reference: string, idempotency_key: string): Promise<Outcome> {
    return outcomeOf(
      await post(`/v2/${encodeURIComponent(reference)}/cancel`, idempotency_key, {}),
      'voided',
    );
  }

  return {
    name: 'midtrans',
    capabilities: CAPABILITIES,

    async authorize(request) {
      const { currency, payment_method } = request;
      if (currency !== 'IDR') return { kind: 'declined', code: 'currency_not_supported' };
      const gross_amount = rupiah(request.amount);
      if (gross_amount === undefined) return { kind: 'declined', code: 'amount_not_supported' };
      if (payment_method.type === 'upi') return { kind: 'declined', code: 'method_not_supported' };
      const body = chargeBody(request, gross_amount);
      const outcome = outcomeOf(await post('/v2/charge', request.idempotency_key, body));
      return payment_method.type === 'card' ? ledBack(outcome, request.return_url) : outcome;
    },

    async capture({ reference, psp_ref, idempotency_key, amount }) {
      const gross_amount = rupiah(amount);
      if (gross_amount === undefined) return { kind: 'declined', code: 'amount_not_supported' };
      let transaction_id = psp_ref;
      if (transaction_id === null) {
        const known = await status(reference);
        if (known.kind === 'unknown') return known;
        if (known.kind === 'absent') return { kind: 'declined', code: 'not_found' };
        transaction_id = known.payment.psp_ref;
      }
      const answer = await post('/v2/capture', idempotency_key, { transaction_id, gross_amount });
      // The bank's no: the authorization stands as before, although it says `deny` here.
      const body = answer.kind === 'answer' ? asFields(answer.body) : undefined;
      if (body?.transaction_status === 'deny') return { kind: 'declined', code: denialCode(body) };
      return outcomeOf(answer, 'captured');
    },

    void: ({ reference, idempotency_key }) => cancel(reference, idempotency_key),

    async refund({ reference, idempotency_key, amount }) {
      const wanted = rupiah(amount);
      if (wanted === undefined) return { kind: 'declined', code: 'amount_not_supported' };
      const known = await status(reference);
      if (known.kind === 'unknown') return known;
      if (known.kind === 'absent') return { kind: 'declined', code: 'not_found' };
      const { payment, settled } = known;
      if (payment.status === 'refunded') return { kind: 'approved', payment };
      if (payment.status !== 'captured') return { kind: 'declined', code: 'invalid_state', payment };
      if (!settled) {
        if (amount === payment.captured) return cancel(reference, idempotency_key);
        return { kind: 'declined', code: 'not_settled', payment };
      }
      const answer = await post(`/v2/${encodeURIComponent(reference)}/refund`, idempotency_key, {
        // Letters, digits, dashes and underscores. Unique there, so it is done once whatever happens to the answer.
        refund_key: idempotency_key.replaceAll(':', '_'),
        amount: wanted,
        reason: 'refund',
      });
      return refundOutcomeOf(answer, payment, amount);
    },

    async lookUp({ reference }) {
      const known = await status(reference);
      return known.kind === 'found' ? { kind: 'found', payment: known.payment } : known;
    },

    async verifyWebhook(_headers, raw) {
      const told = asFields(parseJson(raw));
      if (!told) return { kind: 'refused', reason: 'no notification' };
      const fault = signatureFault(settings.server_key, told);
      if (fault) return { kind: 'refused', reason: `signature ${fault}` };
      const reference = asText(told.order_id) as string;
      const answer = await client.call('GET', `/v2/${encodeURIComponent(reference)}/status`);
      const known = lookUpOf(answer);
      if (known.kind === 'unknown') return { kind: 'unsure', reason: known.reason };
      // Signed by them, and not there: another environment's, or a test of the notification URL.
      if (known.kind === 'absent') return { kind: 'genuine', event_id: eventId(told), body: {} };
      const body = answer.kind === 'answer' ? asFields(answer.body) : undefined;
      return { kind: 'genuine', event_id: eventId(body ?? told), body };
    },

    readEvent: (body) => paymentOf(asFields(body)),
    close: () => client.close(),
  };
}

/** Whole rupiah; undefined for an amount with sen. */
function rupiah(amount: number): number | undefined {
  const text = toDecimal(amount, 'IDR', 0);
  return text === undefined ? undefined : Number(text);
}

/** A step's key, or the digest of one that would be too long to count. */
function shortKey(key: string): string {
  return key.length <= KEY_CHARACTERS_MAX ? key : createHash('sha256').update(key).digest('base64url');
}

function chargeBody(request: AuthorizeRequest, gross_amount: number): object {
  const { reference, payment_method, return_url, expires_at } = request;
  const common = {
    transaction_details: { order_id: reference, gross_amount },
    // The shop's own order, for whoever looks in their dashboard.
    custom_field1: request.order_id,
  };
  const { token } = payment_method;
  if (payment_method.type === 'card') {
    return {
      payment_type: 'credit_card',
      ...common,
      credit_card: { token_id: token, authentication: true, type: 'authorize' },
    };
  }
  const minutes = Math.max(1, Math.floor((expires_at.getTime() - Date.now()) / 60_000));
  const custom_expiry = { expiry_duration: minutes, unit: 'minute' };
  if (token === 'qris') {
    return { payment_type: 'qris', ...common, custom_expiry, qris: { acquirer: 'gopay' } };
  }
  const gopay = { enable_callback: true, callback_url: return_url };
  return {
    payment_type: 'gopay',
    ...common,
    custom_expiry,
    gopay: token === 'gopay' ? gopay : { ...gopay, account_id: token },
  };
}

/** The page of 3-D Secure leads back where its address says, as their own script has it. */
function ledBack(outcome: Outcome, return_url: string): Outcome {
  if (outcome.kind !== 'pending' || outcome.next_action.type !== 'redirect') return outcome;
  if (!URL.canParse(outcome.next_action.url)) return outcome;
  const url = new URL(outcome.next_action.url);
  url.searchParams.set('callback_type', 'form');
  url.searchParams.set('callback_url', return_url);
  return { ...outcome, next_action: { type: 'redirect', url: url.href } };
}

/** Error codes of theirs that say that nothing was done, in our words. Not 401 and 429, which are our own fault, nor
 * 406, which says that something was done under this name. */
const REFUSALS: Readonly<Record<string, string>> = {
  400: 'invalid_request',
  402: 'method_not_supported',
  404: 'not_found',
  407: 'expired',
  408: 'invalid_request',
  410: 'account_blocked',
  411: 'invalid_token',
  412: 'invalid_state',
  413: 'invalid_request',
  414: 'refund_rejected',
};

/** `wanted`: the status that a step leads to; without it, of a charge. */
function outcomeOf(answer: JsonAnswer, wanted?: Payment['status']): Outcome {
  if (answer.kind === 'none') return { kind: 'unknown', reason: answer.reason };
  const body = asFields(answer.body);
  const code = statusCodeOf(body);
  // Not theirs: a proxy's page, say.
  if (code === undefined) return { kind: 'unknown', reason: `http_${answer.http_status}` };
  const payment = paymentOf(body);
  if (payment && /^2|^407/.test(code)) {
    const outcome = outcomeOfPayment(payment);
    const elsewhere = outcome.kind === 'approved' && wanted !== undefined && payment.status !== wanted;
    return elsewhere ? { kind: 'declined', code: 'invalid_state', payment } : outcome;
  }
  if (Object.hasOwn(REFUSALS, code)) return { kind: 'declined', code: REFUSALS[code] };
  const answered = code === '406' || (code >= '500' && code !== '503');
  // 202 without a transaction: the first call under this key is under way.
  return { kind: 'unknown', reason: `status_${code}`, ...(answered ? { answered } : {}) };
}

/** What is given back in all is not read off the answer, where the field means now this refund, now the sum. */
function refundOutcomeOf(answer: JsonAnswer, before: Payment, amount: number): Outcome {
  if (answer.kind === 'none') return { kind: 'unknown', reason: answer.reason };
  const body = asFields(answer.body);
  const status = body?.transaction_status;
  if (statusCodeOf(body) === '200' && (status === 'refund' || status === 'partial_refund')) {
    const refunded = status === 'refund' ? before.captured : before.refunded + amount;
    const whole = refunded >= before.captured;
    return { kind: 'approved', payment: { ...before, refunded, status: whole ? 'refunded' : 'captured' } };
  }
  if (statusCodeOf(body) === '202' && body?.refund_key !== undefined) {
    return { kind: 'declined', code: 'refund_rejected', payment: before };
  }
  const outcome = outcomeOf(answer);
  return outcome.kind === 'approved' ? { kind: 'unknown', reason: 'unreadable' } : outcome;
}

type Status = { kind: 'found'; payment: Payment; settled: boolean } | Exclude<LookUp, { kind: 'found' }>;

function lookUpOf(answer: JsonAnswer): Status {
  if (answer.kind === 'none') return { kind: 'unknown', reason: answer.reason };
  const body = asFields(answer.body);
  const code = statusCodeOf(body);
  if (code === undefined) return { kind: 'unknown', reason: `http_${answer.http_status}` };
  if (code === '404') return { kind: 'absent' };
  const payment = paymentOf(body);
  if (payment) return { kind: 'found', payment, settled: body?.transaction_status !== 'capture' };
  return { kind: 'unknown', reason: /^2/.test(code) ? 'unreadable' : `status_${code}` };
}

function signatureFault(server_key: string, told: Fields): 'missing' | 'malformed' | 'wrong' | undefined {
  const signature = asText(told.signature_key);
  if (signature === undefined) return 'missing';
  const parts = [asText(told.order_id), asText(told.status_code), asText(told.gross_amount)];
  if (parts.includes(undefined)) return 'malformed';
  const digest = createHash('sha512')
    .update(parts.join('') + server_key)
    .digest();
  return isDigest(signature, digest) ? undefined : 'wrong';
}

/**
 * Notifications have neither an id nor a time, so one is made of all that a payment goes through: the same state told
 * twice is the same event, for ever.
 */
function eventId(told: Fields): string {
  const { transaction_id, transaction_status, fraud_status, status_code, gross_amount, refund_amount } = told;
  const parts = [transaction_id, transaction_status, fraud_status, status_code, gross_amount, refund_amount];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
