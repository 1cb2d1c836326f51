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
import { HttpRefusal } from '../http-refusal.ts';
import { jsonObject } from '../json-body.ts';
import type { SandboxPayment } from '../payment.ts';
import { sameText } from '../same-text.ts';
import { makeCertificate, type SigningCertificate } from './paypal-certificate.ts';
import { approvalPage } from './paypal-page.ts';
import {
  authorizationTold,
  type Body,
  captureTold,
  eventTold,
  fieldsOf,
  moneyOf,
  named,
  orderOf,
  orderTold,
  refundTold,
} from './paypal-told.ts';
import type { Call, Failure, Result, Wire, WireMaker, WireReply, WireRequest } from './wire.ts';

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
