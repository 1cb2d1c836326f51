/**
 * Stripe's wire format, as far as its SDK needs it to authorize, capture, cancel, refund and look up PaymentIntents and to
 * verify webhooks: form-encoded requests, Stripe's objects and errors. docs.stripe.com/api.
 *
 *     POST /v1/payment_intents                 make one, unconfirmed (or `confirm=true`)
 *     GET  /v1/payment_intents[/{id}]
 *     POST /v1/payment_intents/{id}/{confirm,capture,cancel}
 *     POST /v1/refunds
 *     GET  /v1/charges/{id}
 */
import { randomBytes } from 'node:crypto';
import { fromStripe, toStripe } from '../../adapters/stripe-amounts.ts';
import { sign } from '../../signature.ts';
import { HttpRefusal } from '../http-refusal.ts';
import type { SandboxPayment } from '../payment.ts';
import { sameText } from '../same-text.ts';
import { isToken } from '../tokens.ts';
import { chargeOf, declineOf, eventOf, intentOf, refundOf } from './stripe-objects.ts';
import type { Call, Failure, Result, Wire, WireMaker, WireReply, WireRequest } from './wire.ts';

/** Stripe's own test tokens, and what they are here. */
const TEST_TOKENS: Readonly<Record<string, string>> = {
  pm_card_visa: 'pm_ok',
  pm_card_mastercard: 'pm_ok',
  pm_card_visa_chargeDeclined: 'pm_declined',
  pm_card_visa_chargeDeclinedInsufficientFunds: 'pm_insufficient_funds',
  pm_card_chargeDeclinedExpiredCard: 'pm_expired_card',
  pm_card_threeDSecure2Required: 'pm_3ds',
  pm_card_authenticationRequired: 'pm_3ds',
};

const KEY_CHARACTERS_MAX = 255;

export const stripeWire: WireMaker = ({ verbs, keys }): Wire => {
  const bearer = sameText(`Bearer ${keys.stripe.secret_key}`);
  const basic = sameText(`Basic ${Buffer.from(`${keys.stripe.secret_key}:`).toString('base64')}`);

  async function handle(request: WireRequest): Promise<WireReply> {
    const { authorization } = request.headers;
    if (!bearer(authorization) && !basic(authorization)) {
      return failed(401, { message: 'Invalid API Key provided.' });
    }
    const [, version, kind, id, step, ...more] = request.path.split('/');
    if (version !== 'v1' || more.length > 0) return unknownUrl(request);
    const form = new URLSearchParams(request.method === 'GET' ? request.query : request.text);
    const call = { key: keyOf(request), fingerprint: request.fingerprint() };
    const get = request.method === 'GET';
    if (kind === 'payment_intents') {
      if (get) return step ? unknownUrl(request) : id ? retrieve(id, form) : list(form);
      if (!id) return create(call, form);
      if (step === 'confirm') return confirm(call, id, form);
      if (step === 'capture') return capture(call, id, form);
      if (step === 'cancel') return replyOf(await verbs.void(call, id), form);
    }
    if (kind === 'refunds' && !get && !id) return refund(call, form);
    if (kind === 'charges' && get && id && !step) return charge(id);
    return unknownUrl(request);
  }

  async function create(call: Call, form: URLSearchParams): Promise<WireReply> {
    const currency = form.get('currency')?.toUpperCase() ?? '';
    const amount = fromStripe(integer(form, 'amount') ?? Number.NaN, currency);
    if (!amount) throw parameter('amount', 'Invalid amount');
    if (toStripe(amount, currency) === undefined)
      throw parameter('amount', 'Invalid amount for this currency');
    if (form.get('capture_method') !== 'manual')
      throw parameter('capture_method', 'the sandbox knows manual alone');
    const payment = {
      id: newId('pi'),
      reference: form.get('metadata[attempt]') ?? '',
      order_id: form.get('metadata[order]') ?? '',
      amount,
      currency,
    };
    if (form.get('confirm') !== 'true') return replyOf(await verbs.create(call, payment), form);
    const token = tokenOf(form);
    if (!token) return noSuchMethod(form);
    const charged = await verbs.charge(call, { ...payment, token, method: 'card', ...returnTo(form) });
    return replyOf(charged, form, 'confirm');
  }

  async function confirm(call: Call, id: string, form: URLSearchParams): Promise<WireReply> {
    const token = tokenOf(form);
    if (!token) return noSuchMethod(form);
    const confirmed = await verbs.confirm(call, id, { token, method: 'card', ...returnTo(form) });
    return replyOf(confirmed, form, 'confirm');
  }

  async function capture(call: Call, id: string, form: URLSearchParams): Promise<WireReply> {
    const payment = await verbs.peek(id);
    const wanted = integer(form, 'amount_to_capture');
    const amount = wanted === undefined ? payment?.amount : fromStripe(wanted, payment?.currency ?? '');
    return replyOf(await verbs.capture(call, id, amount ?? 0), form);
  }

  async function refund(call: Call, form: URLSearchParams): Promise<WireReply> {
    const id = form.get('payment_intent') ?? form.get('charge')?.replace(/^ch_/, 'pi_') ?? '';
    const payment = await verbs.peek(id);
    const wanted = integer(form, 'amount');
    const left = payment && payment.captured - payment.refunded;
    const amount = wanted === undefined ? left : fromStripe(wanted, payment?.currency ?? '');
    const result = await verbs.refund(call, id, { id: newId('re'), amount: amount ?? 0 });
    if (result.kind !== 'payment' || !result.refund) return replyOf(result, form, 'refund');
    const expand = expansions(form);
    const whole = expand.find((path) => path.startsWith('payment_intent'));
    const shown = refundOf(result.payment, result.refund);
    if (whole === undefined) return { http_status: 200, body: shown };
    return {
      http_status: 200,
      body: { ...shown, payment_intent: intentOf(result.payment, below(expand, 'payment_intent')) },
    };
  }

  async function retrieve(id: string, form: URLSearchParams): Promise<WireReply> {
    const found = await verbs.byId(id);
    if (found.kind === 'found')
      return replyOf({ kind: 'payment', payment: found.payments[0] as SandboxPayment }, form);
    return replyOf(found, form);
  }

  async function list(form: URLSearchParams): Promise<WireReply> {
    const found = await verbs.list(Math.min(integer(form, 'limit') ?? 10, 100));
    if (found.kind !== 'found') return replyOf(found, form);
    const data = found.payments.map((payment) => intentOf(payment, below(expansions(form), 'data')));
    return { http_status: 200, body: { object: 'list', url: '/v1/payment_intents', has_more: false, data } };
  }

  async function charge(id: string): Promise<WireReply> {
    const payment = await verbs.peek(id.replace(/^ch_/, 'pi_'));
    const shown = payment && chargeOf(payment, true);
    return shown ? { http_status: 200, body: shown } : failure('absent');
  }

  return {
    name: 'stripe',
    handle,
    failure: (http_status, code) =>
      failed(http_status, { code, message: `The sandbox refused this: ${code}.` }),
    webhook(event, now_ms) {
      const body = JSON.stringify(eventOf(event));
      const signature = sign(keys.stripe.webhook_secret, Buffer.from(body), now_ms);
      return {
        headers: { 'content-type': 'application/json; charset=utf-8', 'stripe-signature': signature },
        body,
      };
    },
  };
};

function replyOf(
  result: Result,
  form: URLSearchParams,
  asked: 'confirm' | 'refund' | 'other' = 'other',
): WireReply {
  switch (result.kind) {
    case 'never':
      return 'never';
    case 'failed':
      return failure(result.failure);
    case 'payment': {
      const { payment } = result;
      // The error of the request that was declined; later ones tell it as the payment's own.
      if (payment.status !== 'declined' || asked !== 'confirm')
        return { http_status: 200, body: intentOf(payment, expansions(form)) };
      const { code, decline_code } = declineOf(payment);
      const error = {
        type: 'card_error',
        code,
        ...(decline_code ? { decline_code } : {}),
        message: 'Your card was declined.',
      };
      return failed(402, { ...error, payment_intent: intentOf(payment, []) });
    }
    case 'refused': {
      const { payment } = result;
      if (asked === 'refund' && payment.status === 'refunded') {
        return failed(400, { code: 'charge_already_refunded', message: 'Charge has already been refunded.' });
      }
      if (result.code === 'amount_mismatch') {
        return failed(400, {
          code: 'amount_too_large',
          param: 'amount',
          message: 'The amount is more than there is.',
        });
      }
      const intent = intentOf(payment, []);
      const message = `This PaymentIntent has a status of ${String(intent.status)}.`;
      return failed(400, { code: 'payment_intent_unexpected_state', message, payment_intent: intent });
    }
  }
}

function failure(kind: Failure): WireReply {
  switch (kind) {
    case 'absent':
      return failed(404, { code: 'resource_missing', param: 'intent', message: 'No such payment_intent.' });
    case 'key_reused':
      return failed(400, {
        type: 'idempotency_error',
        message:
          'Keys for idempotent requests can only be used with the same parameters they were first used with.',
      });
    case 'in_progress':
      return failed(409, {
        type: 'idempotency_error',
        code: 'idempotency_key_in_use',
        message: 'There is currently another in-progress request using this Idempotent Key.',
      });
    case 'error':
      return failed(500, { type: 'api_error', message: 'An unknown error occurred.' });
    case 'unavailable':
      return failed(503, { type: 'api_error', message: 'Stripe is not available just now.' });
  }
}

function failed(http_status: number, error: Readonly<Record<string, unknown>>): WireReply {
  return { http_status, body: { error: { type: 'invalid_request_error', ...error } } };
}

function unknownUrl({ method, path }: WireRequest): WireReply {
  return failed(404, { message: `Unrecognized request URL (${method}: ${path}).` });
}

function noSuchMethod(form: URLSearchParams): WireReply {
  const param = 'payment_method';
  if (!form.get(param))
    return failed(400, { code: 'parameter_missing', param, message: 'Missing required param.' });
  return failed(400, { code: 'resource_missing', param, message: 'No such PaymentMethod.' });
}

function parameter(param: string, message: string): HttpRefusal {
  return new HttpRefusal(400, `parameter_invalid: ${param}, ${message}`);
}

/** A card's: UPI is not to be had at Stripe. */
function tokenOf(form: URLSearchParams): string | undefined {
  const text = form.get('payment_method') ?? '';
  const token = TEST_TOKENS[text] ?? text;
  return isToken(token) && token !== 'pm_upi' ? token : undefined;
}

function returnTo(form: URLSearchParams): { return_url?: string } {
  const return_url = form.get('return_url');
  return return_url ? { return_url } : {};
}

function keyOf({ headers }: WireRequest): string | null {
  const key = headers['idempotency-key'];
  if (typeof key !== 'string' || key === '') return null;
  if (key.length > KEY_CHARACTERS_MAX) throw new HttpRefusal(400, 'idempotency_key_too_long');
  return key;
}

function integer(form: URLSearchParams, name: string): number | undefined {
  const text = form.get(name);
  if (text === null) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw parameter(name, 'Invalid integer');
  return Number(text);
}

/** `expand[0]=latest_charge.refunds` */
function expansions(form: URLSearchParams): string[] {
  return [...form].filter(([name]) => name.startsWith('expand[')).map(([, path]) => path);
}

function below(paths: readonly string[], head: string): string[] {
  return paths.filter((path) => path.startsWith(`${head}.`)).map((path) => path.slice(head.length + 1));
}

function newId(prefix: string): string {
  return `${prefix}_${randomBytes(18).toString('base64url').replace(/[-_]/g, '0')}`;
}
