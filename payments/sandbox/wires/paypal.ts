/**
 * PayPal Orders v2 and Payments v2, as far as our adapter speaks them. OAuth 2 with client credentials.
 *
 *     POST /v1/oauth2/token                             grant_type=client_credentials, as a form
 *     POST /v2/checkout/orders                          intent AUTHORIZE
 *     GET  /v2/checkout/orders/{order}
 *     POST /v2/checkout/orders/{order}/authorize        {payment_source?}
 *     POST /v2/payments/authorizations/{id}/capture, .../void
 *     POST /v2/payments/captures/{id}/refund
 *     GET  /v1/notifications/certs/{name}               the certificate that webhooks are signed with
 *     GET, POST /checkoutnow?token={order}              the page on which a buyer approves (paypal-page.ts)
 *
 * An order, its authorization and its capture are one payment of the sandbox. An order that a buyer approved holds
 * nothing before it is authorized. A vaulted method's id is a token. `PayPal-Request-Id` on all POSTs below /v2.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { currencyExponent, formatMinor, isCurrency } from '../../../domain/money.ts';
import { HttpRefusal } from '../http-refusal.ts';
import { jsonObject } from '../json-body.ts';
import type { SandboxPayment } from '../payment.ts';
import { sameText } from '../same-text.ts';
import { makeCertificate, type SigningCertificate } from './paypal-certificate.ts';
import { approvalPage } from './paypal-page.ts';
import type { Call, Failure, Result, Wire, WireMaker, WireReply, WireRequest } from './wire.ts';

type Body = Record<string, unknown>;

const CERTIFICATE = 'CERT-sandbox';
const TOKEN_SECONDS = 32_400;

export const paypalWire: WireMaker = ({ verbs, keys, url }): Wire => {
  const { client_id, client_secret, webhook_id } = keys.paypal;
  const admits = sameText(`Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}`);
  const access_token = createHmac('sha256', client_secret).update('access token').digest('base64url');
  const granted = sameText(`Bearer ${access_token}`);
  const run = randomBytes(6).toString('hex');
  let certificate: SigningCertificate | undefined;
  const signer = (): SigningCertificate => {
    certificate ??= makeCertificate('messageverificationcerts.paypal.com', Date.now());
    return certificate;
  };
  const certificate_name = `${CERTIFICATE}-${run}`;

  async function handle(request: WireRequest): Promise<WireReply> {
    const [, version, kind, name, id, verb] = request.path.split('/');
    if (version === 'v1' && kind === 'oauth2' && name === 'token') return token(request);
    if (version === 'v1' && kind === 'notifications' && name === 'certs' && id === certificate_name) {
      return { http_status: 200, body: signer().pem, headers: { 'content-type': 'application/x-pem-file' } };
    }
    if (version === 'checkoutnow') return approvalPage(verbs, request);
    if (version !== 'v2') throw new HttpRefusal(404, 'not_found');
    if (!granted(request.headers.authorization)) {
      return {
        http_status: 401,
        body: { error: 'invalid_token', error_description: 'Token signature verification failed' },
      };
    }
    if (request.method === 'GET' && kind === 'checkout' && name === 'orders' && !verb) return show(id);
    if (request.method !== 'POST') throw new HttpRefusal(404, 'not_found');
    const key = request.headers['paypal-request-id'];
    const call: Call = { key: typeof key === 'string' ? key : null, fingerprint: request.fingerprint() };
    const body = jsonObject(request.text);
    if (kind === 'checkout' && name === 'orders' && id === undefined) return createOrder(call, body);
    if (kind === 'checkout' && name === 'orders' && verb === 'authorize') return authorize(call, id, body);
    if (kind === 'payments' && name === 'authorizations' && verb === 'capture')
      return capture(call, id, body);
    if (kind === 'payments' && name === 'authorizations' && verb === 'void') return voidIt(call, id);
    if (kind === 'payments' && name === 'captures' && verb === 'refund') return refund(call, id, body);
    throw new HttpRefusal(404, 'not_found');
  }

  function token(request: WireRequest): WireReply {
    if (!admits(request.headers.authorization)) {
      return {
        http_status: 401,
        body: { error: 'invalid_client', error_description: 'Client Authentication failed' },
      };
    }
    const form = new URLSearchParams(request.text);
    if (form.get('grant_type') !== 'client_credentials') {
      return {
        http_status: 400,
        body: { error: 'unsupported_grant_type', error_description: 'Grant Type is NULL' },
      };
    }
    return {
      http_status: 200,
      body: {
        scope: 'https://uri.paypal.com/services/payments/payment',
        access_token,
        token_type: 'Bearer',
        app_id: 'APP-SANDBOX',
        expires_in: TOKEN_SECONDS,
      },
    };
  }

  async function createOrder(call: Call, body: Body): Promise<WireReply> {
    const unit = Array.isArray(body.purchase_units) ? fieldsOf(body.purchase_units[0]) : {};
    const money = moneyOf(unit.amount);
    if (body.intent !== 'AUTHORIZE' || !money) return unprocessable(400, 'INVALID_PARAMETER_VALUE');
    const { custom_id, reference_id } = unit;
    if (typeof custom_id !== 'string') return unprocessable(400, 'MISSING_REQUIRED_PARAMETER');
    const paypal = fieldsOf(fieldsOf(body.payment_source).paypal);
    const { return_url, cancel_url } = fieldsOf(paypal.experience_context);
    const result = await verbs.create(call, {
      id: named('O'),
      reference: custom_id,
      order_id: typeof reference_id === 'string' ? reference_id : custom_id,
      ...money,
      extra: {
        ...(typeof return_url === 'string' ? { return_url } : {}),
        ...(typeof cancel_url === 'string' ? { cancel_url } : {}),
      },
    });
    return replyOf(result, (payment) => ({ http_status: 201, body: orderTold(payment, url) }));
  }

  async function show(id: string): Promise<WireReply> {
    const found = await verbs.byId(id);
    if (found.kind === 'never') return 'never';
    if (found.kind === 'failed') return failed(found.failure);
    return { http_status: 200, body: orderTold(found.payments[0], url) };
  }

  async function authorize(call: Call, id: string, body: Body): Promise<WireReply> {
    const order = await verbs.peek(id);
    const source = fieldsOf(body.payment_source);
    const { vault_id: vaulted, experience_context } = fieldsOf(source.card ?? source.paypal);
    const return_url = fieldsOf(experience_context).return_url ?? order?.extra?.return_url;
    if (typeof vaulted !== 'string' && order && order.status === 'created' && order.extra?.approved !== '1') {
      return unprocessable(422, 'ORDER_NOT_APPROVED');
    }
    const result = await verbs.confirm(call, id, {
      token: typeof vaulted === 'string' ? vaulted : 'pm_ok',
      method: source.card ? 'card' : 'wallet',
      ...(typeof return_url === 'string' ? { return_url } : {}),
    });
    if (result.kind === 'refused') return unprocessable(422, 'ORDER_ALREADY_AUTHORIZED');
    return replyOf(result, (payment) =>
      payment.status === 'declined' && payment.method !== 'card'
        ? unprocessable(422, 'INSTRUMENT_DECLINED')
        : { http_status: 201, body: orderTold(payment, url) },
    );
  }

  async function capture(call: Call, id: string, body: Body): Promise<WireReply> {
    const order = orderOf(id);
    const payment = await verbs.peek(order);
    const money = body.amount === undefined ? payment : moneyOf(body.amount);
    if (payment && money?.currency !== payment.currency)
      return unprocessable(422, 'AUTH_CAPTURE_CURRENCY_MISMATCH');
    const result = await verbs.capture(call, order, money?.amount ?? 0);
    if (result.kind === 'refused') {
      return unprocessable(
        422,
        result.code === 'amount_mismatch' ? 'MAX_CAPTURE_AMOUNT_EXCEEDED' : 'AUTHORIZATION_ALREADY_CAPTURED',
      );
    }
    return replyOf(result, (captured) => ({ http_status: 201, body: captureTold(captured, url) }));
  }

  async function voidIt(call: Call, id: string): Promise<WireReply> {
    const result = await verbs.void(call, orderOf(id));
    if (result.kind === 'refused') return unprocessable(422, 'AUTHORIZATION_ALREADY_CAPTURED');
    return replyOf(result, (payment) => ({ http_status: 200, body: authorizationTold(payment, url) ?? {} }));
  }

  async function refund(call: Call, id: string, body: Body): Promise<WireReply> {
    const order = orderOf(id);
    const payment = await verbs.peek(order);
    const amount = body.amount === undefined ? payment?.captured : moneyOf(body.amount)?.amount;
    const result = await verbs.refund(call, order, { id: named('R'), amount: amount ?? 0 });
    if (result.kind === 'refused') {
      return unprocessable(
        422,
        result.code === 'amount_mismatch' ? 'REFUND_AMOUNT_EXCEEDED' : 'CAPTURE_FULLY_REFUNDED',
      );
    }
    if (result.kind !== 'payment' || !result.refund)
      return replyOf(result, () => unprocessable(422, 'REFUND_NOT_ALLOWED'));
    return { http_status: 201, body: refundTold(result.payment, result.refund, url) };
  }

  return {
    name: 'paypal',
    handle,
    failure: (http_status, code) => ({
      http_status,
      body: { name: code.toUpperCase(), message: code, details: [] },
    }),
    webhook({ id, at_ms, payment }, now_ms) {
      const told = eventTold(payment, url);
      if (!told) return undefined;
      const body = JSON.stringify({
        id: `WH-${id.replace(/^evt_/, '').toUpperCase()}`,
        event_version: '1.0',
        create_time: new Date(at_ms).toISOString(),
        ...told,
      });
      const transmission_id = `${id}-${now_ms}`;
      const time = new Date(now_ms).toISOString();
      return {
        headers: {
          'paypal-auth-algo': 'SHA256withRSA',
          'paypal-cert-url': `${url}/v1/notifications/certs/${certificate_name}`,
          'paypal-transmission-id': transmission_id,
          'paypal-transmission-sig': signer().sign(
            `${transmission_id}|${time}|${webhook_id}|${crc32(Buffer.from(body))}`,
          ),
          'paypal-transmission-time': time,
        },
        body,
      };
    },
  };
};

const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ0123456789';

/** 17 capitals and digits, as theirs. An order's, its authorization's and its capture's differ in the first. */
function named(kind: 'O' | 'R'): string {
  return kind + Array.from(randomBytes(16), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
}

function orderOf(id: string): string {
  return `O${id.slice(1)}`;
}

function orderTold(payment: SandboxPayment, url: string): Body {
  const { id, reference, order_id, challenge, extra } = payment;
  const held = authorizationTold(payment, url);
  const captured = payment.captured > 0 ? [captureTold(payment, url)] : [];
  const refunds = (payment.refunds ?? []).map((refund) => refundTold(payment, refund, url));
  const links = [link('self', 'GET', `${url}/v2/checkout/orders/${id}`)];
  const waits = payment.status === 'pending' && challenge;
  if (waits) links.push(link('payer-action', 'GET', challenge.url));
  else if (payment.status === 'created' && extra?.return_url) {
    links.push(link('payer-action', 'GET', `${url}/checkoutnow?token=${id}`));
  }
  return {
    id,
    intent: 'AUTHORIZE',
    status: orderStatus(payment),
    purchase_units: [
      {
        reference_id: order_id,
        custom_id: reference,
        invoice_id: reference,
        amount: money(payment.amount, payment.currency),
        ...(held ? { payments: { authorizations: [held], captures: captured, refunds } } : {}),
      },
    ],
    create_time: new Date(payment.created_at_ms).toISOString(),
    links,
  };
}

function orderStatus({ status, challenge, extra, method }: SandboxPayment): string {
  if (status === 'created') {
    if (extra?.approved === '1') return 'APPROVED';
    return extra?.return_url ? 'PAYER_ACTION_REQUIRED' : 'CREATED';
  }
  if (status === 'pending' && challenge) return 'PAYER_ACTION_REQUIRED';
  return status === 'declined' && method !== 'card' ? 'CREATED' : 'COMPLETED';
}

/** Undefined while nothing is held. */
function authorizationTold(payment: SandboxPayment, url: string): Body | undefined {
  const { id, status, challenge, method, decline_code } = payment;
  const waits = status === 'pending' && challenge !== undefined;
  if (status === 'created' || waits || (status === 'declined' && method !== 'card')) return undefined;
  const authorization = `A${id.slice(1)}`;
  return {
    id: authorization,
    status: authorizationStatus(payment),
    amount: money(payment.amount, payment.currency),
    ...{ invoice_id: payment.reference, custom_id: payment.reference },
    supplementary_data: { related_ids: { order_id: id } },
    ...(status === 'declined'
      ? { processor_response: { response_code: PROCESSOR_CODES[decline_code ?? ''] ?? '5100' } }
      : {}),
    create_time: new Date(payment.created_at_ms).toISOString(),
    links: [link('self', 'GET', `${url}/v2/payments/authorizations/${authorization}`)],
  };
}

function authorizationStatus({ status }: SandboxPayment): string {
  switch (status) {
    case 'pending':
      return 'PENDING';
    case 'captured':
    case 'refunded':
      return 'CAPTURED';
    case 'voided':
      return 'VOIDED';
    case 'declined':
      return 'DENIED';
    default:
      return 'CREATED';
  }
}

const PROCESSOR_CODES: Readonly<Record<string, string>> = {
  do_not_honor: '0500',
  card_declined: '5100',
  insufficient_funds: '5120',
  expired_card: '5400',
  invalid_token: '1330',
};

function captureTold(payment: SandboxPayment, url: string): Body {
  const { id, captured, refunded, currency, reference } = payment;
  const capture = `C${id.slice(1)}`;
  const status = refunded === 0 ? 'COMPLETED' : refunded === captured ? 'REFUNDED' : 'PARTIALLY_REFUNDED';
  return {
    id: capture,
    status,
    amount: money(captured, currency),
    final_capture: true,
    ...{ invoice_id: reference, custom_id: reference },
    supplementary_data: { related_ids: { order_id: id, authorization_id: `A${id.slice(1)}` } },
    links: [
      link('self', 'GET', `${url}/v2/payments/captures/${capture}`),
      link('up', 'GET', `${url}/v2/payments/authorizations/A${id.slice(1)}`),
    ],
  };
}

function refundTold(payment: SandboxPayment, part: { id: string; amount: number }, url: string): Body {
  const { currency, refunded, reference, id } = payment;
  return {
    id: part.id,
    status: 'COMPLETED',
    amount: money(part.amount, currency),
    custom_id: reference,
    seller_payable_breakdown: {
      gross_amount: money(part.amount, currency),
      total_refunded_amount: money(refunded, currency),
    },
    links: [
      link('self', 'GET', `${url}/v2/payments/refunds/${part.id}`),
      link('up', 'GET', `${url}/v2/payments/captures/C${id.slice(1)}`),
    ],
  };
}

function eventTold(payment: SandboxPayment, url: string): Body | undefined {
  const { status, refunded, extra } = payment;
  const event = (event_type: string, resource_type: string, resource: Body | undefined) =>
    resource && { resource_type, resource_version: '2.0', event_type, summary: event_type, resource };
  switch (status) {
    case 'created':
      return extra?.approved === '1'
        ? event('CHECKOUT.ORDER.APPROVED', 'checkout-order', orderTold(payment, url))
        : undefined;
    case 'authorized':
      return event('PAYMENT.AUTHORIZATION.CREATED', 'authorization', authorizationTold(payment, url));
    case 'voided':
      return event('PAYMENT.AUTHORIZATION.VOIDED', 'authorization', authorizationTold(payment, url));
    case 'captured':
    case 'refunded': {
      const part = payment.refunds?.at(-1);
      return refunded > 0 && part
        ? event('PAYMENT.CAPTURE.REFUNDED', 'refund', refundTold(payment, part, url))
        : event('PAYMENT.CAPTURE.COMPLETED', 'capture', captureTold(payment, url));
    }
    default:
      return undefined;
  }
}

function replyOf(result: Result, tell: (payment: SandboxPayment) => WireReply): WireReply {
  switch (result.kind) {
    case 'never':
      return 'never';
    case 'failed':
      return failed(result.failure);
    case 'refused':
      return unprocessable(422, 'ORDER_COMPLETED_OR_VOIDED');
    case 'payment':
      return tell(result.payment);
  }
}

function failed(failure: Failure): WireReply {
  switch (failure) {
    case 'absent':
      return { http_status: 404, body: errorBody('RESOURCE_NOT_FOUND', 'INVALID_RESOURCE_ID') };
    case 'key_reused':
      return unprocessable(422, 'DUPLICATE_REQUEST_ID');
    case 'in_progress':
      return { http_status: 409, body: errorBody('RESOURCE_CONFLICT', 'PREVIOUS_REQUEST_IN_PROGRESS') };
    case 'error':
      return { http_status: 500, body: errorBody('INTERNAL_SERVER_ERROR', 'INTERNAL_SERVICE_ERROR') };
    case 'unavailable':
      return { http_status: 503, body: errorBody('SERVICE_UNAVAILABLE', 'SERVICE_UNAVAILABLE') };
  }
}

function unprocessable(http_status: 400 | 422, issue: string): WireReply {
  const name = http_status === 400 ? 'INVALID_REQUEST' : 'UNPROCESSABLE_ENTITY';
  return { http_status, body: errorBody(name, issue) };
}

function errorBody(name: string, issue: string): Body {
  return { name, message: name, debug_id: 'sandbox', details: [{ issue, description: issue }] };
}

/** PayPal's decimals: none for these, two for all others that it takes. */
const WHOLE = ['HUF', 'JPY', 'TWD'];

function money(amount: number, currency: string): Body {
  const value = formatMinor(amount, currency);
  return { currency_code: currency, value: WHOLE.includes(currency) ? value.replace(/\.\d+$/, '') : value };
}

function moneyOf(told: unknown): { amount: number; currency: string } | undefined {
  const { currency_code, value } = fieldsOf(told);
  if (typeof currency_code !== 'string' || !isCurrency(currency_code) || typeof value !== 'string')
    return undefined;
  const decimals = WHOLE.includes(currency_code) ? 0 : 2;
  const pattern = decimals === 0 ? /^(\d{1,12})()$/ : /^(\d{1,12})\.(\d{2})$/;
  const match = pattern.exec(value);
  if (!match) return undefined;
  return {
    amount: Number(match[1] + match[2].padEnd(currencyExponent(currency_code), '0')),
    currency: currency_code,
  };
}

function link(rel: string, method: string, href: string) {
  return { href, rel, method };
}

function fieldsOf(value: unknown): Body {
  return typeof value === 'object' && value !== null ? (value as Body) : {};
}
