/**
 * Razorpay, as far as our adapter speaks it. Basic auth with key id and secret.
 *
 *     POST /v1/orders                          {amount, currency, receipt, notes, payment}
 *     GET  /v1/orders/{order}/payments
 *     POST /v1/payments/create/upi             {order_id, upi: {flow, vpa?}, ...}
 *     POST /v1/payments/create/json            {order_id, method: card | wallet, token | wallet, callback_url, ...}
 *     POST /v1/payments/{payment}/capture      {amount, currency}
 *     POST /v1/payments/{payment}/refund       {amount, ...}; X-Refund-Idempotency
 *     POST /sandbox/release                    {order_id}: as after the days in which it could be captured
 *
 * An order and its one payment are one payment of the sandbox. As there, none can be voided: only the last request, which
 * is the sandbox's own, gives an authorization back. UPI's `intent` does as `pm_upi`, an address as the token of its name.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { HttpRefusal } from '../http-refusal.ts';
import { isAmount, jsonObject } from '../json-body.ts';
import type { SandboxPayment } from '../payment.ts';
import { sameText } from '../same-text.ts';
import { TOKENS } from '../tokens.ts';
import type { Call, Confirmation, Failure, Result, Wire, WireMaker, WireReply, WireRequest } from './wire.ts';

type Body = Record<string, unknown>;

export const razorpayWire: WireMaker = ({ verbs, keys }): Wire => {
  const { key_id, key_secret, webhook_secret } = keys.razorpay;
  const admits = sameText(`Basic ${Buffer.from(`${key_id}:${key_secret}`).toString('base64')}`);

  async function handle(request: WireRequest): Promise<WireReply> {
    if (!admits(request.headers.authorization)) return bad('Authentication failed', 401);
    const [, version, kind, name, verb] = request.path.split('/');
    const fingerprint = request.fingerprint();
    if (request.method === 'GET' && kind === 'orders' && verb === 'payments') return paymentsOf(name);
    if (request.method !== 'POST') throw new HttpRefusal(404, 'not_found');
    const body = jsonObject(request.text);
    // Only refunds have keys there.
    const call: Call = { key: null, fingerprint };
    if (version === 'sandbox' && kind === 'release') return release(call, body);
    if (kind === 'orders' && name === undefined) return createOrder(call, body);
    if (kind === 'payments' && name === 'create') return createPayment(call, body, verb);
    if (kind === 'payments' && verb === 'capture') return capture(call, name, body);
    if (kind === 'payments' && verb === 'refund') {
      const key = request.headers['x-refund-idempotency'];
      return refund({ key: typeof key === 'string' ? key : null, fingerprint }, name, body);
    }
    throw new HttpRefusal(404, 'not_found');
  }

  async function createOrder(call: Call, body: Body): Promise<WireReply> {
    const { amount, currency, receipt } = body;
    if (!isAmount(amount) || amount < 100) return bad('The amount must be atleast INR 1.00');
    if (currency !== 'INR') return bad('Currency is not supported');
    if (typeof receipt !== 'string' || receipt.length > 40)
      return bad('The receipt may not be greater than 40 characters.');
    const { order_id } = fieldsOf(body.notes);
    const result = await verbs.create(call, {
      id: `order_${suffix()}`,
      reference: receipt,
      order_id: typeof order_id === 'string' ? order_id : receipt,
      ...{ amount, currency },
    });
    return replyOf(result, orderTold);
  }

  async function createPayment(call: Call, body: Body, road: string): Promise<WireReply> {
    const { order_id, email, contact, amount } = body;
    if (typeof email !== 'string' || typeof contact !== 'string')
      return bad('The contact field is required.');
    const order = typeof order_id === 'string' ? await verbs.peek(order_id) : undefined;
    if (!order) return bad('The id provided does not exist');
    if (order.amount !== amount) return bad('Your payment amount is different from your order amount.');
    const confirmation = confirmationOf(body, road);
    if (!confirmation) return bad('The payment method is not valid.');
    const result = await verbs.confirm(call, order.id, confirmation);
    return replyOf(result, (payment) => madeTold(payment));
  }

  async function capture(call: Call, name: string, { amount, currency }: Body): Promise<WireReply> {
    if (!isAmount(amount) || currency !== 'INR') return bad('The amount is invalid');
    return replyOf(await verbs.capture(call, orderOf(name), amount), paymentTold);
  }

  async function refund(call: Call, name: string, { amount }: Body): Promise<WireReply> {
    const payment = await verbs.peek(orderOf(name));
    const part = amount === undefined ? payment?.captured : amount;
    if (!isAmount(part)) return bad('The amount is invalid');
    const result = await verbs.refund(call, orderOf(name), { id: `rfnd_${suffix()}`, amount: part });
    if (result.kind !== 'payment' || !result.refund) return replyOf(result, paymentTold);
    return { http_status: 200, body: refundTold(result.payment, result.refund.id, result.refund.amount) };
  }

  async function release(call: Call, { order_id }: Body): Promise<WireReply> {
    return replyOf(await verbs.void(call, String(order_id)), paymentTold);
  }

  async function paymentsOf(order_id: string): Promise<WireReply> {
    const found = await verbs.byId(order_id);
    if (found.kind === 'never') return 'never';
    if (found.kind === 'failed') return failed(found.failure);
    const items = found.payments.filter(({ status }) => status !== 'created').map(paymentTold);
    return { http_status: 200, body: { entity: 'collection', count: items.length, items } };
  }

  return {
    name: 'razorpay',
    handle,
    failure: (http_status, code) => bad(code, http_status),
    webhook({ id, at_ms, payment }) {
      const event = eventOf(payment);
      if (!event) return undefined;
      const part = payment.refunds?.at(-1);
      const body = JSON.stringify({
        entity: 'event',
        account_id: 'acc_sandbox0000000',
        event,
        contains: event.startsWith('refund') ? ['refund', 'payment'] : ['payment'],
        payload: {
          ...(event.startsWith('refund')
            ? { refund: { entity: refundTold(payment, part?.id ?? id, part?.amount ?? payment.amount) } }
            : {}),
          payment: { entity: paymentTold(payment) },
        },
        created_at: Math.floor(at_ms / 1_000),
      });
      const signature = createHmac('sha256', webhook_secret).update(body).digest('hex');
      return { headers: { 'x-razorpay-signature': signature, 'x-razorpay-event-id': id }, body };
    },
  };
};

function suffix(): string {
  return randomBytes(12).toString('base64url').replace(/[-_]/g, '0').slice(0, 14);
}

/** `pay_X` is the payment of `order_X`. */
function orderOf(payment: string): string {
  return payment.replace(/^pay_/, 'order_');
}

function confirmationOf(body: Body, road: string): Confirmation | undefined {
  const { method, token, wallet, callback_url } = body;
  const back = typeof callback_url === 'string' ? { return_url: callback_url } : {};
  if (road === 'upi' && method === 'upi') {
    const { flow, vpa } = fieldsOf(body.upi);
    if (flow === 'intent') return { token: 'pm_upi', method: 'upi' };
    // A collect request has no link: the buyer's app asks by itself.
    return flow === 'collect' && typeof vpa === 'string' ? { token: vpa, method: 'upi' } : undefined;
  }
  if (method === 'card' && typeof token === 'string') return { token, method: 'card', ...back };
  if (method === 'wallet' && typeof wallet === 'string') {
    return { token: Object.hasOwn(TOKENS, wallet) ? wallet : 'pm_wallet', method: 'wallet', ...back };
  }
  return undefined;
}

function orderTold({ id, reference, order_id, amount, created_at_ms }: SandboxPayment): object {
  return {
    id,
    entity: 'order',
    ...{ amount, amount_paid: 0, amount_due: amount, currency: 'INR', receipt: reference },
    ...{ offer_id: null, status: 'created', attempts: 0 },
    notes: { reference, order_id },
    created_at: Math.floor(created_at_ms / 1_000),
  };
}

function paymentTold(payment: SandboxPayment): object {
  const { id, status, amount, captured, refunded, method, decline_code } = payment;
  // Released without having been taken: given back, in their words.
  const released = status === 'voided';
  const given_back = released ? amount : refunded;
  return {
    id: id.replace(/^order_/, 'pay_'),
    entity: 'payment',
    ...{ amount, currency: 'INR', status: statusTold(payment), order_id: id, invoice_id: null },
    ...{ international: false, method: method ?? 'card', amount_refunded: given_back },
    refund_status: given_back === 0 ? null : given_back === amount ? 'full' : 'partial',
    captured: captured > 0,
    ...{ description: null, card_id: null, bank: null, wallet: null, vpa: null },
    notes: { reference: payment.reference, order_id: payment.order_id },
    ...(status === 'declined'
      ? {
          error_code: 'BAD_REQUEST_ERROR',
          error_description: 'Payment failed',
          ...{ error_source: 'customer', error_step: 'payment_authorization' },
          error_reason: reasonTold(decline_code),
        }
      : {
          error_code: null,
          error_description: null,
          error_source: null,
          error_step: null,
          error_reason: null,
        }),
    created_at: Math.floor(payment.created_at_ms / 1_000),
  };
}

function statusTold({ status }: SandboxPayment): string {
  if (status === 'pending' || status === 'created') return 'created';
  if (status === 'declined') return 'failed';
  return status === 'voided' ? 'refunded' : status;
}

const REASONS: Readonly<Record<string, string>> = {
  card_declined: 'payment_declined',
  expired_card: 'card_expired',
  expired: 'payment_timed_out',
  do_not_honor: 'payment_failed',
};

function reasonTold(code: string | null): string {
  return REASONS[code ?? ''] ?? code ?? 'payment_failed';
}

function madeTold(payment: SandboxPayment): object {
  const razorpay_payment_id = payment.id.replace(/^order_/, 'pay_');
  const { challenge, status } = payment;
  if (status !== 'pending' && payment.method !== 'upi') {
    const razorpay_signature = createHash('sha256').update(payment.id).digest('hex');
    return { razorpay_payment_id, razorpay_order_id: payment.id, razorpay_signature };
  }
  if (status === 'pending' && challenge?.type === 'upi') return { razorpay_payment_id, link: challenge.url };
  if (status === 'pending' && challenge) {
    return { razorpay_payment_id, next: [{ action: 'redirect', url: challenge.url }] };
  }
  return { razorpay_payment_id };
}

function refundTold(payment: SandboxPayment, id: string, amount: number): object {
  return {
    id,
    entity: 'refund',
    ...{ amount, currency: 'INR', payment_id: payment.id.replace(/^order_/, 'pay_') },
    notes: { reference: payment.reference },
    ...{ receipt: null, acquirer_data: { arn: null }, batch_id: null, status: 'processed' },
    speed_processed: 'normal',
  };
}

function eventOf({ status, refunded }: SandboxPayment): string | undefined {
  switch (status) {
    case 'authorized':
      return 'payment.authorized';
    case 'captured':
      return refunded > 0 ? 'refund.processed' : 'payment.captured';
    case 'refunded':
    case 'voided':
      return 'refund.processed';
    case 'declined':
      return 'payment.failed';
    default:
      return undefined;
  }
}

function replyOf(result: Result, tell: (payment: SandboxPayment) => object): WireReply {
  switch (result.kind) {
    case 'never':
      return 'never';
    case 'failed':
      return failed(result.failure);
    case 'refused':
      return bad(
        result.code === 'amount_mismatch'
          ? 'The amount must be equal to the amount authorized, and no more than was captured.'
          : `The action is not possible with a payment that is ${statusTold(result.payment)}.`,
      );
    case 'payment':
      return result.payment.status === 'declined'
        ? bad('Payment failed', 400, reasonTold(result.payment.decline_code))
        : { http_status: 200, body: tell(result.payment) };
  }
}

function failed(failure: Failure): WireReply {
  switch (failure) {
    case 'absent':
      return bad('The id provided does not exist');
    case 'key_reused':
      return bad('Different request with the same idempotency key has already been processed.');
    case 'in_progress':
      return bad('Request failed because another request is in progress with the same key', 409);
    case 'error':
      return error('SERVER_ERROR', 'We are facing some trouble completing your request at the moment.', 500);
    case 'unavailable':
      return error('SERVER_ERROR', 'Service unavailable', 503);
  }
}

function bad(description: string, http_status = 400, reason = 'input_validation_failed'): WireReply {
  return error('BAD_REQUEST_ERROR', description, http_status, reason);
}

function error(code: string, description: string, http_status: number, reason = 'NA'): WireReply {
  const details = { code, description, source: 'NA', step: 'NA', reason, metadata: {} };
  return { http_status, body: { error: details } };
}

function fieldsOf(value: unknown): Body {
  return typeof value === 'object' && value !== null ? (value as Body) : {};
}
