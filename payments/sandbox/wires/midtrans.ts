/**
 * Midtrans Core API v2, as far as our adapter speaks it. Basic auth with the server key. Its answers carry a
 * `status_code` of their own, and come with HTTP 200 also where that says no.
 *
 *     POST /v2/charge                     credit_card (type authorize), gopay, qris; Idempotency-Key
 *     POST /v2/capture                    {transaction_id, gross_amount}
 *     POST /v2/{order or transaction id}/cancel
 *     POST /v2/{order or transaction id}/refund, .../refund/online/direct   {refund_key, amount, reason}
 *     GET  /v2/{order or transaction id}/status
 *
 * What is captured is settled at once here, a day later in life: it is refunded, never canceled. A wallet's token is its
 * account id; `gopay` and `qris` alone do as `pm_wallet`.
 */
import { createHash, createHmac } from 'node:crypto';
import { HttpRefusal } from '../http-refusal.ts';
import { jsonObject } from '../json-body.ts';
import type { SandboxPayment } from '../payment.ts';
import { sameText } from '../same-text.ts';
import type {
  Call,
  Confirmation,
  Failure,
  NewPayment,
  Refusal,
  Result,
  Wire,
  WireMaker,
  WireReply,
  WireRequest,
} from './wire.ts';

/** Minor units of IDR in a rupiah: ISO 4217 has two decimals, Midtrans none. */
const RUPIAH = 100;
const ORDER_ID = /^[A-Za-z0-9._~-]{1,50}$/;
const REFUND_KEY = /^[A-Za-z0-9_-]{1,255}$/;
/** Longer keys are ignored. */
const KEY_CHARACTERS_MAX = 46;

type Body = Record<string, unknown>;

export const midtransWire: WireMaker = ({ verbs, keys }): Wire => {
  const { server_key } = keys.midtrans;
  const admits = sameText(`Basic ${Buffer.from(`${server_key}:`).toString('base64')}`);

  /** One order id, one transaction, for ever: so its id follows from the order's, and nobody guesses it. */
  const transactionId = (order_id: string): string => {
    const hex = createHmac('sha256', server_key).update(order_id).digest('hex');
    const parts = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`];
    return [...parts, hex.slice(20, 32)].join('-');
  };
  const idOf = async (name: string): Promise<string> =>
    (await verbs.peek(name)) ? name : transactionId(name);

  async function handle(request: WireRequest): Promise<WireReply> {
    if (!admits(request.headers.authorization)) {
      return says('401', 'Transaction cannot be authorized with the current client/server key.', 401);
    }
    const [, version, name, ...rest] = request.path.split('/');
    if (version !== 'v2' || !name) throw new HttpRefusal(404, 'not_found');
    const verb = rest.join('/');
    if (request.method === 'GET' && verb === 'status') return statusOf(await idOf(name));
    if (request.method !== 'POST') throw new HttpRefusal(405, 'method');
    const key = request.headers['idempotency-key'];
    const usable = typeof key === 'string' && key !== '' && key.length <= KEY_CHARACTERS_MAX;
    const call: Call = { key: usable ? key : null, fingerprint: request.fingerprint() };
    const body = jsonObject(request.text);
    if (name === 'charge' && verb === '') return charge(call, body);
    if (name === 'capture' && verb === '') return capture(call, body);
    if (verb === 'cancel') return replyOf(await verbs.void(call, await idOf(name)));
    if (verb === 'refund' || verb === 'refund/online/direct') return refund(call, await idOf(name), body);
    throw new HttpRefusal(404, 'not_found');
  }

  async function charge(call: Call, body: Body): Promise<WireReply> {
    const payment = chargeOf(body);
    if (typeof payment === 'string') return says('400', payment);
    const result = await verbs.charge(call, { ...payment, id: transactionId(payment.reference) });
    const token_refused = result.kind === 'payment' && result.payment.decline_code === 'invalid_token';
    return token_refused ? says('411', 'Credit card token is no longer available.') : replyOf(result);
  }

  async function capture(call: Call, { transaction_id, gross_amount }: Body): Promise<WireReply> {
    if (typeof transaction_id !== 'string') return says('400', 'transaction_id is required');
    const payment = await verbs.peek(transaction_id);
    const amount = gross_amount === undefined ? payment?.amount : minorOf(gross_amount);
    if (amount === undefined) return payment ? says('400', 'gross_amount is not valid') : absent();
    return replyOf(await verbs.capture(call, transaction_id, amount));
  }

  async function refund(call: Call, id: string, body: Body): Promise<WireReply> {
    const payment = await verbs.peek(id);
    const amount = body.amount === undefined ? payment?.captured : minorOf(body.amount);
    const refund_key = body.refund_key;
    if (typeof refund_key !== 'string' || !REFUND_KEY.test(refund_key))
      return says('400', 'refund_key is not valid');
    if (amount === undefined) return payment ? says('400', 'amount is not valid') : absent();
    const before = payment?.refunds?.find((known) => known.id === refund_key);
    if (before && before.key !== call.key) return says('406', 'Duplicate refund ID');
    return replyOf(await verbs.refund(call, id, { id: refund_key, amount }));
  }

  async function statusOf(id: string): Promise<WireReply> {
    const found = await verbs.byId(id);
    if (found.kind === 'never') return 'never';
    if (found.kind === 'failed') return failed(found.failure);
    const [payment] = found.payments;
    return { http_status: 200, body: { ...told(payment), signature_key: signatureOf(payment) } };
  }

  function signatureOf(payment: SandboxPayment): string {
    const { order_id, status_code, gross_amount } = told(payment);
    return createHash('sha512').update(`${order_id}${status_code}${gross_amount}${server_key}`).digest('hex');
  }

  return {
    name: 'midtrans',
    handle,
    failure: (http_status, code) => says(String(http_status), code, http_status),
    webhook({ payment }) {
      if (payment.status === 'created') return undefined;
      const body = {
        ...told(payment),
        status_message: 'midtrans payment notification',
        signature_key: signatureOf(payment),
      };
      return { headers: {}, body: JSON.stringify(body) };
    },
  };
};

/** A charge's payment, or what is wrong with the request. */
function chargeOf(body: Body): (NewPayment & Confirmation) | string {
  const details = fieldsOf(body.transaction_details);
  const { order_id } = details;
  const amount = minorOf(details.gross_amount);
  if (typeof order_id !== 'string' || !ORDER_ID.test(order_id))
    return 'transaction_details.order_id is not valid';
  if (amount === undefined) return 'transaction_details.gross_amount is not a whole number';
  const shop_order = body.custom_field1;
  const payment: NewPayment = {
    reference: order_id,
    order_id: typeof shop_order === 'string' && shop_order !== '' ? shop_order : order_id,
    ...{ amount, currency: 'IDR', unique_reference: true },
    extra: { payment_type: String(body.payment_type) },
  };
  if (body.payment_type === 'credit_card') {
    const { token_id, type } = fieldsOf(body.credit_card);
    if (typeof token_id !== 'string') return 'credit_card.token_id is required';
    const at_once = type === 'authorize' ? {} : ({ capture: true } as const);
    return { ...payment, token: token_id, method: 'card', ...at_once };
  }
  const { expiry_duration, unit } = fieldsOf(body.custom_expiry);
  if (unit === 'minute' && typeof expiry_duration === 'number') {
    payment.expires_at_ms = Date.now() + expiry_duration * 60_000;
  }
  const wallet = { method: 'wallet', capture: true } as const;
  if (body.payment_type === 'qris') return { ...payment, ...wallet, token: 'pm_wallet' };
  if (body.payment_type === 'gopay') {
    const { account_id, callback_url } = fieldsOf(body.gopay);
    const token = typeof account_id === 'string' ? account_id : 'pm_wallet';
    const back = typeof callback_url === 'string' ? { return_url: callback_url } : {};
    return { ...payment, ...wallet, ...back, token };
  }
  return 'payment_type is not supported here';
}

/** A transaction as they show it, in answers and notifications. */
function told(payment: SandboxPayment) {
  const { id, reference, amount, refunds, refunded, extra, challenge, decline_code } = payment;
  const { status_code, transaction_status } = wordsOf(payment);
  const denied = transaction_status === 'deny';
  const card = extra?.payment_type === 'credit_card';
  return {
    status_code,
    status_message: 'Success, transaction is found',
    transaction_id: id,
    order_id: reference,
    gross_amount: decimal(amount),
    currency: 'IDR',
    payment_type: extra?.payment_type ?? 'credit_card',
    transaction_time: new Date(payment.created_at_ms + 7 * 3_600_000)
      .toISOString()
      .slice(0, 19)
      .replace('T', ' '),
    transaction_status,
    fraud_status: 'accept',
    ...(card ? { masked_card: '48111111-1114', bank: 'bni', card_type: 'credit' } : {}),
    ...(denied ? channelOf(decline_code) : {}),
    ...(payment.status === 'pending' && challenge ? actionsOf(payment, challenge.url, card) : {}),
    ...(refunded > 0
      ? {
          refund_amount: decimal(refunded),
          refunds: refunds?.map((refund, at) => ({
            refund_chargeback_id: at + 1,
            refund_amount: decimal(refund.amount),
            refund_key: refund.id,
          })),
        }
      : {}),
  };
}

function wordsOf({ status, refunded, decline_code }: SandboxPayment) {
  switch (status) {
    case 'created':
    case 'pending':
      return { status_code: '201', transaction_status: 'pending' };
    case 'authorized':
      return { status_code: '200', transaction_status: 'authorize' };
    case 'captured':
      return {
        status_code: '200',
        transaction_status: refunded > 0 ? 'partial_refund' : 'settlement',
      };
    case 'refunded':
      return { status_code: '200', transaction_status: 'refund' };
    case 'voided':
      return { status_code: '200', transaction_status: 'cancel' };
    case 'declined':
      return decline_code === 'expired'
        ? { status_code: '407', transaction_status: 'expire' }
        : { status_code: '202', transaction_status: 'deny' };
  }
}

function actionsOf(payment: SandboxPayment, page: string, card: boolean): object {
  if (card) return { redirect_url: page };
  const url = page;
  if (payment.extra?.payment_type === 'qris')
    return { actions: [{ name: 'generate-qr-code', method: 'GET', url }] };
  return { actions: [{ name: 'deeplink-redirect', method: 'GET', url }] };
}

const CHANNEL_CODES: Readonly<Record<string, [code: string, message: string]>> = {
  insufficient_funds: ['51', 'Insufficient funds'],
  expired_card: ['54', 'Expired card'],
  do_not_honor: ['05', 'Do not honor'],
};

function channelOf(decline_code: string | null): object {
  if (decline_code === 'authentication_failed') return { three_ds_challenge_completion: false };
  const [channel_response_code, channel_response_message] = CHANNEL_CODES[decline_code ?? ''] ?? [
    '01',
    'Refer to card issuer',
  ];
  return { channel_response_code, channel_response_message };
}

function replyOf(result: Result): WireReply {
  if (result.kind === 'never') return 'never';
  if (result.kind === 'failed') return failed(result.failure);
  if (result.kind === 'refused') return refused(result.code);
  const { payment, refund } = result;
  const body: Body = { ...told(payment) };
  if (refund) {
    Object.assign(body, { refund_key: refund.id, refund_amount: decimal(refund.amount) });
    body.status_message = 'Success, refund request is approved';
  }
  return { http_status: 200, body };
}

function refused(code: Refusal): WireReply {
  if (code === 'duplicate')
    return says('406', 'The request could not be completed due to a conflict: order_id');
  if (code === 'amount_mismatch') return says('414', 'Refund request is rejected due to invalid amount');
  return says('412', 'Merchant cannot modify the status of the transaction');
}

function failed(failure: Failure): WireReply {
  switch (failure) {
    case 'absent':
      return absent();
    case 'in_progress':
      return { http_status: 202, body: {} };
    case 'key_reused':
      return says('400', 'Idempotency-Key was used for another request');
    case 'error':
      return says('500', 'Sorry, we encountered internal server error. We will fix this soon.', 500);
    case 'unavailable':
      return says('503', 'Service unavailable', 503);
  }
}

function absent(): WireReply {
  return says('404', "Transaction doesn't exist.", 404);
}

function says(status_code: string, status_message: string, http_status = 200): WireReply {
  return { http_status, body: { status_code, status_message } };
}

function minorOf(rupiah: unknown): number | undefined {
  const whole = Number.isSafeInteger(rupiah) && (rupiah as number) > 0;
  return whole ? (rupiah as number) * RUPIAH : undefined;
}

function decimal(amount: number): string {
  return `${Math.floor(amount / RUPIAH)}.${String(amount % RUPIAH).padStart(2, '0')}`;
}

function fieldsOf(value: unknown): Body {
  return typeof value === 'object' && value !== null ? (value as Body) : {};
}
