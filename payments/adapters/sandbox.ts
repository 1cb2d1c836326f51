/** The port, spoken to our sandbox PSP. Its wire format is described in sandbox/server.ts. */
import { createJsonClient, type JsonAnswer } from '../http-json.ts';
import {
  type Capabilities,
  type LookUp,
  type NextAction,
  type Outcome,
  PAYMENT_STATUSES,
  type Payment,
  type Psp,
} from '../port.ts';
import { SIGNATURE_HEADER, signatureFault } from '../signature.ts';
import { asAmount, asFields, asText, parseJson } from './reading.ts';
import { byMoney, WAIT } from './shown-payment.ts';

export type SandboxSettings = {
  url: string;
  /** Bearer of its API, and key of its webhooks' signatures. */
  secret: string;
  /** After this a call's outcome is unknown. */
  timeout_ms?: number;
  connections_max?: number;
};

const CAPABILITIES: Capabilities = {
  methods: ['card', 'upi', 'wallet'],
  currencies: 'any',
  captures_at_once: [],
  partial_refunds: true,
  closes_references: true,
  authorization_days: 7,
};

const TIMEOUT_MS = 8_000;
const CONNECTIONS_MAX = 64;

export function createSandboxPsp(settings: SandboxSettings): Psp {
  const client = createJsonClient({
    base_url: settings.url,
    headers: { authorization: `Bearer ${settings.secret}` },
    timeout_ms: settings.timeout_ms ?? TIMEOUT_MS,
    connections_max: settings.connections_max ?? CONNECTIONS_MAX,
  });
  const post = async (path: string, idempotency_key: string, body: object): Promise<Outcome> =>
    outcomeOf(await client.call('POST', path, { headers: { 'idempotency-key': idempotency_key }, body }));

  return {
    name: 'sandbox',
    capabilities: CAPABILITIES,
    authorize: ({ idempotency_key, payment_method: { type, token }, ...request }) =>
      post('/v1/payments', idempotency_key, {
        reference: request.reference,
        order_id: request.order_id,
        amount: request.amount,
        currency: request.currency,
        method: type,
        token,
        expires_at: request.expires_at.toISOString(),
        return_url: request.return_url,
      }),
    capture: ({ psp_ref, idempotency_key, amount }) =>
      post(`/v1/payments/${psp_ref}/capture`, idempotency_key, { amount }),
    void: ({ reference, idempotency_key }) => post(`/v1/references/${reference}/void`, idempotency_key, {}),
    refund: ({ psp_ref, idempotency_key, amount }) =>
      post(`/v1/payments/${psp_ref}/refund`, idempotency_key, { amount }),
    async lookUp({ reference }) {
      return lookUpOf(await client.call('GET', `/v1/references/${reference}`));
    },
    verifyWebhook(headers, raw, now_ms) {
      const fault = signatureFault(settings.secret, headers[SIGNATURE_HEADER], raw, now_ms);
      if (fault) return { kind: 'refused', reason: `signature ${fault}` };
      const body = parseJson(raw);
      const event_id = asText(asFields(body)?.id);
      if (event_id === undefined) return { kind: 'refused', reason: 'no event' };
      return { kind: 'genuine', event_id, body };
    },
    readEvent: (body) => readPayment(asFields(body)?.payment),
    close: () => client.close(),
  };
}

/** With these it says what is wrong with the request, or with the payment. Not 401 or 429, which are our own
 * fault, nor 422, a key used for another request: something was done under it. */
const REFUSALS = [400, 402, 404, 409, 410];

/** A 409 `in_progress` is our own first call, still under way; everything else that is no clear answer is unknown. */
function outcomeOf(answer: JsonAnswer): Outcome {
  if (answer.kind === 'none') return { kind: 'unknown', reason: answer.reason };
  const body = asFields(answer.body);
  const payment = readPayment(body?.payment);
  const code = asFields(body?.error)?.code;
  if (answer.http_status === 200 && payment) {
    if (payment.status !== 'pending') return { kind: 'approved', payment };
    return { kind: 'pending', payment, next_action: payment.next_action ?? WAIT };
  }
  if (answer.http_status === 402 && payment) {
    return { kind: 'declined', code: payment.decline_code ?? 'declined', payment };
  }
  if (typeof code === 'string' && code !== 'in_progress' && REFUSALS.includes(answer.http_status)) {
    return { kind: 'declined', code, ...(payment ? { payment } : {}) };
  }
  const stored = answer.http_status >= 500 && answer.http_status !== 503;
  return { kind: 'unknown', reason: `http_${answer.http_status}`, ...(stored ? { answered: true } : {}) };
}

/**
 * More than one payment under a reference means that it was made again after its key was forgotten: the one that
 * holds money is the one to know about.
 */
function lookUpOf(answer: JsonAnswer): LookUp {
  if (answer.kind === 'none') return { kind: 'unknown', reason: answer.reason };
  const listed = asFields(answer.body)?.payments;
  if (answer.http_status !== 200 || !Array.isArray(listed)) {
    return { kind: 'unknown', reason: `http_${answer.http_status}` };
  }
  const payments = listed.map(readPayment).filter((payment) => payment !== undefined);
  if (payments.length !== listed.length) return { kind: 'unknown', reason: 'unreadable' };
  const payment = payments.sort(byMoney)[0];
  return payment ? { kind: 'found', payment } : { kind: 'absent' };
}

/** Undefined unless every part that money depends on is there. */
function readPayment(value: unknown): Payment | undefined {
  const raw = asFields(value);
  const status = PAYMENT_STATUSES.find((known) => known === raw?.status);
  if (!raw || !status) return undefined;
  const { id, reference, currency, decline_code } = raw;
  const [amount, captured, refunded] = [raw.amount, raw.captured, raw.refunded].map(asAmount);
  if (typeof id !== 'string' || typeof reference !== 'string' || typeof currency !== 'string')
    return undefined;
  if (amount === undefined || captured === undefined || refunded === undefined) return undefined;
  return {
    reference,
    psp_ref: id,
    status,
    amount,
    captured,
    refunded,
    currency,
    decline_code: typeof decline_code === 'string' ? decline_code : null,
    next_action: status === 'pending' ? nextActionOf(raw.next_action) : null,
  };
}

function nextActionOf(value: unknown): NextAction {
  const { type, url } = asFields(value) ?? {};
  if ((type === 'redirect' || type === 'upi') && typeof url === 'string') return { type, url };
  return WAIT;
}
