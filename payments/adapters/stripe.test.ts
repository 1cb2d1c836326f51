/** Stripe's adapter against answers in Stripe's own words, given one by one. What it does to the sandbox is in contract.test.ts. */
import { createServer } from 'node:net';
import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../platform/local/ports.ts';
import type { AuthorizeRequest, Psp } from '../port.ts';
import { createStripePsp } from './stripe.ts';
import { fromStripe, STRIPE_CURRENCIES, toStripe } from './stripe-amounts.ts';
import { type Replay, startReplay } from './testing/replay.ts';

const KEYS = { secret_key: 'sk_test_adapter', webhook_secret: 'whsec_adapter' };
let replay: Replay;
let psp: Psp;

beforeAll(async () => {
  replay = await startReplay();
  psp = createStripePsp({ url: `${replay.url}/stripe/`, ...KEYS, timeout_ms: 5_000 });
});
afterAll(async () => {
  psp.close();
  await replay.close();
});

const REQUEST: AuthorizeRequest = {
  ...{ reference: 'attempt-1', psp_ref: 'pi_1', order_id: 'ord_1', idempotency_key: 'attempt-1:authorize' },
  ...{ amount: 1_299, currency: 'USD' },
  payment_method: { type: 'card', token: 'pm_card_visa' },
  expires_at: new Date(Date.now() + 600_000),
  return_url: 'https://shop.example/?order=ord_1',
};

const intent = (status: string, more: Record<string, unknown> = {}) => ({
  ...{ id: 'pi_1', object: 'payment_intent', amount: 1_299, amount_received: 0, currency: 'usd', status },
  ...{ metadata: { attempt: 'attempt-1', order: 'ord_1' }, latest_charge: null, last_payment_error: null },
  ...more,
});
const refundList = (...refunds: { amount: number; status: string }[]) => ({
  latest_charge: { id: 'ch_1', amount_refunded: 9, refunds: { has_more: false, data: refunds } },
});
const ok = (body: unknown) => ({ http_status: 200, body });
const error = (http_status: number, fields: object) => ({ http_status, body: { error: fields } });
const sentForm = (at = 0) => Object.fromEntries(new URLSearchParams(replay.sent[at].text));

describe('what is sent', () => {
  test('a payment is made unconfirmed, captured by hand, with our names in it, under our key', async () => {
    replay.answers(ok(intent('requires_payment_method')));
    expect(await psp.create?.(REQUEST)).toEqual({ kind: 'created', psp_ref: 'pi_1' });
    expect(replay.sent).toMatchObject([
      {
        method: 'POST',
        path: '/stripe/v1/payment_intents',
        headers: {
          authorization: 'Bearer sk_test_adapter',
          'idempotency-key': 'attempt-1:authorize',
          'content-type': 'application/x-www-form-urlencoded',
        },
      },
    ]);
    expect(replay.sent[0].headers).not.toHaveProperty('x-stripe-client-telemetry');
    expect(sentForm()).toEqual({
      amount: '1299',
      currency: 'usd',
      capture_method: 'manual',
      'allowed_payment_method_types[0]': 'card',
      'metadata[attempt]': 'attempt-1',
      'metadata[order]': 'ord_1',
    });
  });

  test('confirmation carries the token and the way back; capture and refund their amounts', async () => {
    replay.answers(ok(intent('requires_capture')));
    await psp.authorize(REQUEST);
    expect(replay.sent[0].path).toBe('/stripe/v1/payment_intents/pi_1/confirm');
    expect(sentForm()).toEqual({
      payment_method: 'pm_card_visa',
      return_url: REQUEST.return_url,
      'expand[0]': 'latest_charge.refunds',
    });
    replay.answers(ok(intent('succeeded', { amount_received: 1_299 })));
    await psp.capture(REQUEST);
    expect(sentForm()).toMatchObject({ amount_to_capture: '1299' });
    replay.answers(ok({ id: 're_1', payment_intent: intent('succeeded', { amount_received: 1_299 }) }));
    await psp.refund({ ...REQUEST, amount: 300 });
    expect(sentForm()).toMatchObject({ payment_intent: 'pi_1', amount: '300' });
  });
});

test.each([
  ['requires_capture', {}, { kind: 'approved', payment: { status: 'authorized', captured: 0 } }],
  [
    'succeeded',
    { amount_received: 1_299 },
    { kind: 'approved', payment: { status: 'captured', captured: 1_299 } },
  ],
  [
    'requires_action',
    { next_action: { type: 'redirect_to_url', redirect_to_url: { url: 'https://bank.example/3ds' } } },
    { kind: 'pending', next_action: { type: 'redirect', url: 'https://bank.example/3ds' } },
  ],
  [
    'requires_action',
    { next_action: { type: 'use_stripe_sdk' } },
    { kind: 'pending', next_action: { type: 'wait' } },
  ],
  ['processing', {}, { kind: 'pending', next_action: { type: 'wait' } }],
  ['canceled', {}, { kind: 'approved', payment: { status: 'voided' } }],
  ['somewhere_new', {}, { kind: 'unknown', reason: 'unreadable' }],
  ['requires_capture', { currency: 'xxx' }, { kind: 'unknown', reason: 'unreadable' }],
  ['requires_capture', { metadata: {} }, { kind: 'unknown', reason: 'unreadable' }],
])('a PaymentIntent that is %s %j', async (status, more, outcome) => {
  replay.answers(ok(intent(status, more)));
  expect(await psp.authorize(REQUEST)).toMatchObject(outcome);
});

test.each([
  ['card_declined', 'insufficient_funds', 'insufficient_funds'],
  ['card_declined', 'generic_decline', 'card_declined'],
  ['card_declined', 'do_not_honor', 'do_not_honor'],
  ['expired_card', undefined, 'expired_card'],
  ['authentication_required', undefined, 'authentication_required'],
  ['payment_intent_authentication_failure', undefined, 'authentication_failed'],
])('a card error %s, %s is declined as %s, with the payment', async (code, decline_code, told) => {
  const last_payment_error = { code, decline_code };
  const payment_intent = intent('requires_payment_method', { last_payment_error });
  replay.answers(error(402, { type: 'card_error', code, decline_code, payment_intent }));
  expect(await psp.authorize(REQUEST)).toMatchObject({
    kind: 'declined',
    code: told,
    payment: { status: 'declined', decline_code: told },
  });
});

test.each([
  [
    400,
    { type: 'invalid_request_error', code: 'amount_too_small' },
    { kind: 'declined', code: 'amount_too_small' },
  ],
  [400, { type: 'invalid_request_error' }, { kind: 'declined', code: 'invalid_request' }],
  [
    400,
    { type: 'invalid_request_error', code: 'resource_missing', param: 'payment_method' },
    { kind: 'declined', code: 'invalid_token' },
  ],
  // Another account's key: somebody holds this payment, and it is not ours to say what became of it.
  [
    404,
    { type: 'invalid_request_error', code: 'resource_missing', param: 'intent' },
    { kind: 'unknown', reason: 'resource_missing' },
  ],
  [400, { type: 'idempotency_error' }, { kind: 'unknown', reason: 'idempotency_error', answered: true }],
  [
    409,
    { type: 'idempotency_error', code: 'idempotency_key_in_use' },
    { kind: 'unknown', reason: 'http_409' },
  ],
  [429, { type: 'invalid_request_error', code: 'rate_limit' }, { kind: 'unknown', reason: 'http_429' }],
  [401, { type: 'invalid_request_error' }, { kind: 'unknown', reason: 'http_401' }],
  [403, { type: 'invalid_request_error' }, { kind: 'unknown', reason: 'http_403' }],
  [500, { type: 'api_error' }, { kind: 'unknown', reason: 'http_500', answered: true }],
  [503, { type: 'api_error' }, { kind: 'unknown', reason: 'http_503' }],
])('an error %i %j', async (http_status, fields, outcome) => {
  replay.answers(error(http_status, fields));
  expect(await psp.authorize(REQUEST)).toEqual(outcome);
  expect(replay.sent).toHaveLength(1);
});

test.each([
  ["a proxy's page", { http_status: 502, text: '<html>' }],
  ['no JSON at all', { http_status: 200, text: 'ok' }],
  ['an empty answer', { http_status: 200, text: '' }],
])('%s says nothing of what was done', async (_what, answer) => {
  replay.answers(answer);
  expect((await psp.authorize(REQUEST)).kind).toBe('unknown');
});

describe('an unexpected state is looked up', () => {
  const state = error(400, { type: 'invalid_request_error', code: 'payment_intent_unexpected_state' });

  test('captured before, its answer lost: approved', async () => {
    replay.answers(state, ok(intent('succeeded', { amount_received: 1_299, ...refundList() })));
    expect(await psp.capture(REQUEST)).toMatchObject({ kind: 'approved', payment: { status: 'captured' } });
  });

  test('canceled meanwhile: a confirmation is declined, with the payment as it stands', async () => {
    replay.answers(state, ok(intent('canceled')));
    expect(await psp.authorize(REQUEST)).toMatchObject({ kind: 'declined', payment: { status: 'voided' } });
  });

  test('captured meanwhile: a cancellation is declined, and says so', async () => {
    replay.answers(state, ok(intent('succeeded', { amount_received: 1_299 })));
    expect(await psp.void(REQUEST)).toMatchObject({ kind: 'declined', payment: { status: 'captured' } });
  });

  test('a look that fails leaves it unknown', async () => {
    replay.answers(state, error(500, { type: 'api_error' }));
    expect(await psp.capture(REQUEST)).toMatchObject({ kind: 'unknown' });
  });
});

describe('a look', () => {
  const look = () => psp.lookUp({ reference: 'attempt-1', psp_ref: 'pi_1' });

  test('without a stored id nothing was ever confirmed: absent, and nobody is asked', async () => {
    replay.answers();
    expect(await psp.lookUp({ reference: 'attempt-1', psp_ref: null })).toEqual({ kind: 'absent' });
    expect(replay.sent).toEqual([]);
  });

  test.each(['requires_payment_method', 'requires_confirmation'])(
    '%s: made, and never confirmed',
    async (status) => {
      replay.answers(ok(intent(status)));
      expect(await look()).toEqual({ kind: 'absent' });
    },
  );

  test('tells what was really given back: not what is under way, nor what failed', async () => {
    const parts = refundList(
      { amount: 300, status: 'succeeded' },
      { amount: 200, status: 'pending' },
      { amount: 100, status: 'failed' },
    );
    replay.answers(ok(intent('succeeded', { amount_received: 1_299, ...parts })));
    expect(await look()).toMatchObject({ payment: { status: 'captured', refunded: 300 } });
    const whole = refundList({ amount: 300, status: 'succeeded' }, { amount: 999, status: 'succeeded' });
    replay.answers(ok(intent('succeeded', { amount_received: 1_299, ...whole })));
    expect(await look()).toMatchObject({ payment: { status: 'refunded', refunded: 1_299 } });
  });

  test("somebody else's payment, or one that this account denies, is not ours", async () => {
    replay.answers(ok(intent('requires_capture', { metadata: { attempt: 'attempt-2' } })));
    expect(await look()).toEqual({ kind: 'unknown', reason: 'reference_mismatch' });
    replay.answers(error(404, { type: 'invalid_request_error', code: 'resource_missing', param: 'intent' }));
    expect(await look()).toEqual({ kind: 'unknown', reason: 'resource_missing' });
  });
});

describe('the network', () => {
  /** A server that does as told with each connection; the adapter to it. */
  async function against(serve: (socket: import('node:net').Socket) => void, timeout_ms: number) {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.on('error', () => {});
      serve(socket);
    });
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const adapter = createStripePsp({ url: `http://127.0.0.1:${port}`, ...KEYS, timeout_ms });
    const outcome = await adapter.capture(REQUEST);
    adapter.close();
    server.close();
    return { outcome, connections };
  }

  test('a connection reset is unknown, and the call is not sent again behind our back', async () => {
    const reset = (socket: import('node:net').Socket) => socket.once('data', () => socket.resetAndDestroy());
    const { outcome, connections } = await against(reset, 5_000);
    expect(outcome).toEqual({ kind: 'unknown', reason: 'connection' });
    expect(connections).toBe(1);
  });

  test('an answer that drips for ever ends after our time', async () => {
    const timers: NodeJS.Timeout[] = [];
    const drip = (socket: import('node:net').Socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{');
      timers.push(setInterval(() => socket.write(' '), 10));
      socket.on('close', () => timers.forEach(clearInterval));
    };
    const { outcome } = await against(drip, 300);
    expect(outcome).toEqual({ kind: 'unknown', reason: 'timeout' });
  });
});

describe('webhooks', () => {
  const NOW_MS = 1_900_000_000_000;
  const event = (object: object, type = 'payment_intent.succeeded') =>
    JSON.stringify({ id: 'evt_1', object: 'event', type, created: 1_900_000_000, data: { object } });
  const header = (payload: string, changes: { secret?: string; timestamp?: number } = {}) =>
    Stripe.webhooks.generateTestHeaderString({
      payload,
      secret: KEYS.webhook_secret,
      timestamp: NOW_MS / 1_000,
      ...changes,
    });
  const verify = async (payload: string, signature: string | undefined, now_ms = NOW_MS) =>
    psp.verifyWebhook({ 'stripe-signature': signature }, Buffer.from(payload), now_ms);

  test("verified by the SDK's own signature, cut to what a payment is read from", async () => {
    const payload = event(
      intent('succeeded', {
        amount_received: 1_299,
        client_secret: 'pi_1_secret_canary',
        receipt_email: 'buyer@canary.example',
        shipping: { address: { line1: 'canary street' }, name: 'Canary' },
        payment_method: 'pm_canary',
        latest_charge: { id: 'ch_1', billing_details: { name: 'Canary' } },
        last_payment_error: {
          code: 'card_declined',
          decline_code: 'fraudulent',
          payment_method: { card: 'canary' },
        },
      }),
    );
    const verified = await verify(payload, header(payload));
    if (verified.kind !== 'genuine') throw new Error(verified.reason);
    expect(verified.event_id).toBe('evt_1');
    expect(JSON.stringify(verified.body)).not.toMatch(/canary/i);
    expect(psp.readEvent(verified.body)).toMatchObject({
      ...{ reference: 'attempt-1', psp_ref: 'pi_1', status: 'captured', captured: 1_299, currency: 'USD' },
    });
  });

  test('two signatures, as while a secret is being rolled: one of ours is enough', async () => {
    const payload = event(intent('succeeded'));
    const [time, ours] = header(payload).split(',');
    expect((await verify(payload, `${time},v1=${'0'.repeat(64)},${ours}`)).kind).toBe('genuine');
  });

  test.each([
    ['missing', (_: string) => undefined],
    ['of another secret', (payload: string) => header(payload, { secret: 'whsec_other' })],
    ['of another body', (payload: string) => header(`${payload} `)],
    ['without a time', (payload: string) => header(payload).split(',')[1]],
    ['of an older scheme', (payload: string) => header(payload).replace('v1=', 'v0=')],
    ['nonsense', () => 'ü'],
  ])('a signature %s is refused', async (_what, make) => {
    const payload = event(intent('succeeded'));
    expect((await verify(payload, make(payload))).kind).toBe('refused');
  });

  test('five minutes either way, not more', async () => {
    const payload = event(intent('succeeded'));
    const at = async (ms: number) => (await verify(payload, header(payload), NOW_MS + ms)).kind;
    expect(await at(299_000)).toBe('genuine');
    expect(await at(-299_000)).toBe('genuine');
    expect(await at(302_000)).toBe('refused');
    expect(await at(-302_000)).toBe('refused');
  });

  test('genuine, and no event: refused', async () => {
    for (const payload of ['null', '[]', '{}', '{"id":"evt_1"}', 'nonsense']) {
      expect((await verify(payload, header(payload))).kind).toBe('refused');
    }
  });

  test('a refund is told of by its charge', () => {
    const charge = {
      ...{
        id: 'ch_1',
        object: 'charge',
        amount: 1_299,
        amount_captured: 1_299,
        captured: true,
        currency: 'usd',
      },
      ...{ payment_intent: 'pi_1', metadata: { attempt: 'attempt-1' } },
    };
    const read = (amount_refunded: number) =>
      psp.readEvent({ data: { object: { ...charge, amount_refunded } } });
    expect(read(300)).toMatchObject({ status: 'captured', refunded: 300, psp_ref: 'pi_1' });
    expect(read(1_299)).toMatchObject({ status: 'refunded', refunded: 1_299 });
    expect(psp.readEvent({ data: { object: { ...charge, captured: false } } })).toBeUndefined();
  });

  test.each([
    undefined,
    {},
    { data: { object: { object: 'customer' } } },
    { data: { object: intent('requires_payment_method') } },
  ])('%j tells of no payment', (body) => {
    expect(psp.readEvent(body)).toBeUndefined();
  });
});

describe('amounts', () => {
  test.each([
    ['USD', 1_299, 1_299],
    ['JPY', 500, 500],
    ['KRW', 500, 500],
    ['ISK', 5, 500],
    ['MGA', 50_000, 500],
    ['MGA', 50_001, undefined],
    ['KWD', 5_120, 5_120],
    ['KWD', 5_124, undefined],
    ['HUF', 1_045, 1_045],
  ])('%s %i is %s there', (currency, amount, counted) => {
    expect(toStripe(amount, currency)).toBe(counted);
    if (counted !== undefined) expect(fromStripe(counted, currency)).toBe(amount);
  });

  test('what is no amount of ours is not rounded', () => {
    expect(fromStripe(501, 'ISK')).toBeUndefined();
    expect(fromStripe(-1, 'USD')).toBeUndefined();
    expect(fromStripe(1.5, 'USD')).toBeUndefined();
    expect(fromStripe(Number.NaN, 'USD')).toBeUndefined();
  });

  test('currencies that it does not take, or that could be read two ways, are refused', async () => {
    replay.answers();
    for (const currency of ['UGX', 'LYD', 'CLF']) {
      expect(STRIPE_CURRENCIES).not.toContain(currency);
      expect(await psp.create?.({ ...REQUEST, currency })).toEqual({
        kind: 'declined',
        code: 'currency_not_supported',
      });
    }
    expect(await psp.create?.({ ...REQUEST, currency: 'KWD', amount: 5_124 })).toEqual({
      kind: 'declined',
      code: 'amount_not_supported',
    });
    expect(replay.sent).toEqual([]);
  });
});
