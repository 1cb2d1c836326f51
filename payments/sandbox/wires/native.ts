/**
 * The sandbox's own wire format, JSON at the root. `Authorization: Bearer <PSP_SANDBOX_SECRET>`.
 *
 *     POST /v1/payments                          authorize; Idempotency-Key
 *     POST /v1/payments/{id}/{capture,void,refund}   Idempotency-Key
 *     POST /v1/references/{reference}/void       void by our own name, also one not known yet; Idempotency-Key
 *     GET  /v1/references/{reference}            look up
 *
 * 200 done, 402 declined, 409 refused as it stands, each with the payment; errors are {error: {code}}.
 */
import { randomUUID } from 'node:crypto';
import { SIGNATURE_HEADER, sign } from '../../signature.ts';
import { HttpRefusal } from '../http-refusal.ts';
import { isAmount, jsonObject } from '../json-body.ts';
import type { SandboxPayment } from '../payment.ts';
import { sameText } from '../same-text.ts';
import {
  type Call,
  type Confirmation,
  type Failure,
  type NewPayment,
  OWN,
  type Result,
  type Wire,
  type WireMaker,
  type WireReply,
  type WireRequest,
} from './wire.ts';

const NAME = /^[A-Za-z0-9_-]{1,128}$/;
const ABSOLUTE_URL = /^[a-z][a-z0-9+.-]*:/i;
const METHODS = ['card', 'upi', 'wallet'] as const;

const STATUS_OF: Readonly<Record<Failure, number>> = {
  absent: 404,
  key_reused: 422,
  in_progress: 409,
  error: 500,
  unavailable: 503,
};

export const nativeWire: WireMaker = ({ verbs, keys }): Wire => {
  const admits = sameText(`Bearer ${keys.secret}`);

  async function handle(request: WireRequest): Promise<WireReply> {
    if (!admits(request.headers.authorization)) throw new HttpRefusal(401, 'unauthorized');
    const [, version, kind, name, step] = request.path.split('/');
    if (version !== 'v1') throw new HttpRefusal(404, 'not_found');
    if (name !== undefined && !NAME.test(name)) throw new HttpRefusal(400, 'invalid_name');
    if (request.method === 'GET' && kind === 'references' && name && step === undefined) return lookUp(name);
    if (request.method !== 'POST') throw new HttpRefusal(404, 'not_found');
    const key = request.headers['idempotency-key'];
    if (typeof key !== 'string' || key === '' || key.length > 255) {
      throw new HttpRefusal(400, 'idempotency_key_missing');
    }
    const result = act({ key, fingerprint: request.fingerprint() }, kind, name, step, request.text);
    if (!result) throw new HttpRefusal(404, 'not_found');
    return replyOf(await result);
  }

  function act(
    call: Call,
    kind: string,
    name: string,
    step: string,
    text: string,
  ): Promise<Result> | undefined {
    const body = jsonObject(text);
    if (kind === 'payments' && name === undefined) return verbs.charge(call, paymentOf(body));
    if (kind === 'references' && step === 'void') return verbs.closeReference(call, name);
    if (kind !== 'payments') return undefined;
    if (step === 'void') return verbs.void(call, name);
    if (step === 'capture') return verbs.capture(call, name, amountOf(body));
    if (step === 'refund')
      return verbs.refund(call, name, { id: `re_${randomUUID()}`, amount: amountOf(body) });
    return undefined;
  }

  async function lookUp(reference: string): Promise<WireReply> {
    const found = await verbs.byReference(reference);
    if (found.kind === 'never') return 'never';
    if (found.kind === 'failed') return failed(found.failure);
    return { http_status: 200, body: { payments: found.payments.map(told) } };
  }

  return {
    name: OWN,
    handle,
    failure: (http_status, code) => ({ http_status, body: { error: { code } } }),
    webhook({ id, type, at_ms, payment }, now_ms) {
      const body = JSON.stringify({ id, type, created_at: iso(at_ms), payment: told(payment) });
      return { headers: { [SIGNATURE_HEADER]: sign(keys.secret, Buffer.from(body), now_ms) }, body };
    },
  };
};

function replyOf(result: Result): WireReply {
  switch (result.kind) {
    case 'never':
      return 'never';
    case 'failed':
      return failed(result.failure);
    case 'refused':
      return { http_status: 409, body: { error: { code: result.code }, payment: told(result.payment) } };
    case 'payment': {
      const { payment } = result;
      const { status, decline_code } = payment;
      const declined = status === 'declined' && decline_code !== null;
      return { http_status: declined ? 402 : 200, body: { payment: told(payment) } };
    }
  }
}

function failed(failure: Failure): WireReply {
  const code = failure === 'absent' ? 'not_found' : failure;
  return { http_status: STATUS_OF[failure], body: { error: { code } } };
}

/** A payment as callers see it. Each field by name: it is built for every answer. */
export function told(payment: SandboxPayment): object {
  const { status, challenge } = payment;
  return {
    id: payment.id,
    provider: payment.provider,
    reference: payment.reference,
    order_id: payment.order_id,
    status,
    amount: payment.amount,
    captured: payment.captured,
    refunded: payment.refunded,
    currency: payment.currency,
    decline_code: payment.decline_code,
    method: payment.method,
    refunds: payment.refunds,
    next_action: status === 'pending' && challenge ? { type: challenge.type, url: challenge.url } : null,
    created_at: iso(payment.created_at_ms),
  };
}

function paymentOf(body: Record<string, unknown>): NewPayment & Confirmation {
  const { reference, order_id, currency, token, expires_at, method, return_url } = body;
  if (typeof reference !== 'string' || !NAME.test(reference)) throw new HttpRefusal(400, 'invalid_reference');
  if (typeof order_id !== 'string' || !NAME.test(order_id)) throw new HttpRefusal(400, 'invalid_order_id');
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency))
    throw new HttpRefusal(400, 'invalid_currency');
  if (typeof token !== 'string' || token === '' || token.length > 255)
    throw new HttpRefusal(400, 'invalid_token');
  const known = METHODS.find((candidate) => candidate === (method ?? 'card'));
  if (!known) throw new HttpRefusal(400, 'invalid_method');
  const payment: NewPayment & Confirmation = {
    ...{ reference, order_id, currency, token, method: known },
    amount: amountOf(body),
  };
  if (expires_at !== undefined) {
    const at_ms = typeof expires_at === 'string' ? Date.parse(expires_at) : Number.NaN;
    if (Number.isNaN(at_ms)) throw new HttpRefusal(400, 'invalid_expires_at');
    payment.expires_at_ms = at_ms;
  }
  if (return_url !== undefined) {
    if (typeof return_url !== 'string' || !ABSOLUTE_URL.test(return_url))
      throw new HttpRefusal(400, 'invalid_return_url');
    payment.return_url = return_url;
  }
  return payment;
}

function amountOf(body: Record<string, unknown>): number {
  if (!isAmount(body.amount)) throw new HttpRefusal(400, 'invalid_amount');
  return body.amount;
}

function iso(at_ms: number): string {
  return new Date(at_ms).toISOString();
}
