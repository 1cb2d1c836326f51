import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuthorizeRequest, Psp } from '../../port.ts';
import { createRazorpayPsp } from '../razorpay.ts';
import {
  faultsOf,
  type Recorded,
  type RecordedEvents,
  type Replay,
  recorded,
  startReplay,
} from '../testing/replay.ts';

const keys = { key_id: 'rzp_test_1', key_secret: 'secret', webhook_secret: 'hook secret' };
const ORDER = 'order_G8VPOayFxWEU28';
let replay: Replay;
let psp: Psp;

beforeAll(async () => {
  replay = await startReplay();
  psp = createRazorpayPsp({ url: replay.url, ...keys, timeout_ms: 5_000 });
});
afterAll(async () => {
  psp.close();
  await replay.close();
});

const request = (type: 'card' | 'upi' | 'wallet', token: string): AuthorizeRequest => ({
  ...{ reference: 'attempt-1', psp_ref: ORDER, order_id: 'ord_1', idempotency_key: 'attempt-1:authorize' },
  ...{ amount: 1_000, currency: 'INR' },
  payment_method: { type, token },
  expires_at: new Date(Date.now() + 600_000),
  return_url: 'https://shop.example/?order=ord_1',
  contact: { email: 'gaurav.kumar@example.com', phone: '+919090909090' },
});

const orders = recorded<Recorded>('razorpay', 'orders');
const payments = recorded<Recorded>('razorpay', 'order-payments');
const upi = recorded<Recorded>('razorpay', 'payment-upi');
const json = recorded<Recorded>('razorpay', 'payment-json');
const capture = recorded<Recorded>('razorpay', 'capture');
const refund = recorded<Recorded>('razorpay', 'refund');

test('an order is made as documented: to be captured by us, with our names in it', async () => {
  replay.answers(orders.answers.created);
  expect(await psp.create?.(request('card', 'token_1'))).toEqual({
    kind: 'created',
    psp_ref: 'order_DBJOWzybf0sJbb',
  });
  expect(faultsOf(replay.sent[0], orders)).toEqual([]);
  expect(JSON.parse(replay.sent[0].text)).toMatchObject({
    amount: 1_000,
    receipt: 'attempt-1',
    notes: { reference: 'attempt-1', order_id: 'ord_1' },
    payment: { capture: 'manual', capture_options: { manual_expiry_period: 7_200 } },
  });
  const basic = Buffer.from(`${keys.key_id}:${keys.key_secret}`).toString('base64');
  expect(replay.sent[0].headers.authorization).toBe(`Basic ${basic}`);
});

test.each([
  ['amount', { kind: 'declined', code: 'input_validation_failed' }],
  ['unauthorized', { kind: 'unknown', reason: 'http_401' }],
  ['server_error', { kind: 'unknown', reason: 'http_500', answered: true }],
])('an order answered %s', async (name, created) => {
  replay.answers(orders.answers[name]);
  expect(await psp.create?.(request('card', 'token_1'))).toEqual(created);
});

test('without e-mail address and phone number nothing is asked', async () => {
  replay.answers();
  const without = { ...request('upi', 'intent'), contact: { email: 'a@b.example' } };
  expect(await psp.create?.(without)).toEqual({ kind: 'declined', code: 'contact_required' });
  expect(await psp.authorize(without)).toEqual({ kind: 'declined', code: 'contact_required' });
  expect(replay.sent).toEqual([]);
});

test.each([
  ['intent', 'intent', { type: 'upi', url: expect.stringMatching(/^upi:\/\/pay\?/) }],
  ['collect', 'gauravkumar@exampleupi', { type: 'wait' }],
])('UPI %s is sent as documented, and pending', async (name, token, next_action) => {
  replay.answers(payments.answers.none, upi.answers[name]);
  const outcome = await psp.authorize(request('upi', token));
  expect(faultsOf(replay.sent[0], payments)).toEqual([]);
  expect(faultsOf(replay.sent[1], upi)).toEqual([]);
  expect(outcome).toMatchObject({
    kind: 'pending',
    payment: { status: 'pending', psp_ref: ORDER },
    next_action,
  });
});

test.each([
  ['card', 'token_4lsdksD31GaZ09', { method: 'card', token: 'token_4lsdksD31GaZ09' }],
  ['wallet', 'touchngo', { method: 'wallet', wallet: 'touchngo' }],
] as const)('a %s is sent as documented, and pending with the page', async (type, token, sent) => {
  replay.answers(payments.answers.none, json.answers.redirect);
  const outcome = await psp.authorize(request(type, token));
  expect(faultsOf(replay.sent[1], json)).toEqual([]);
  expect(JSON.parse(replay.sent[1].text)).toMatchObject(sent);
  expect(outcome).toMatchObject({
    kind: 'pending',
    next_action: { type: 'redirect', url: 'https://api.razorpay.com/v1/payments/FVmAtLUe9XZSGM/authorize' },
  });
});

test('paid without any step of the buyer is looked up: the answer does not say how it stands', async () => {
  replay.answers(payments.answers.none, json.answers.signed, payments.answers.authorized);
  expect(await psp.authorize(request('card', 'token_1'))).toMatchObject({
    kind: 'approved',
    payment: { status: 'authorized' },
  });
});

test.each([
  ['wrong_otp', { kind: 'declined', code: 'authentication_failed' }],
  ['funds', { kind: 'declined', code: 'insufficient_funds' }],
  ['gateway', { kind: 'unknown', reason: 'http_502', answered: true }],
])('a payment answered %s', async (name, outcome) => {
  replay.answers(payments.answers.none, json.answers[name]);
  expect(await psp.authorize(request('card', 'token_1'))).toEqual(outcome);
});

test('an invalid UPI address is a refusal', async () => {
  replay.answers(payments.answers.none, upi.answers.invalid_vpa);
  expect(await psp.authorize(request('upi', 'nobody@nowhere'))).toEqual({
    kind: 'declined',
    code: 'invalid_token',
  });
});

test.each(['created', 'authorized', 'captured', 'failed'])(
  'where the order has a payment that is %s no second one is made',
  async (name) => {
    replay.answers(payments.answers[name]);
    await psp.authorize(request('card', 'token_1'));
    expect(replay.sent.map(({ method }) => method)).toEqual(['GET']);
  },
);

test('where the order could not be looked at no payment is made', async () => {
  replay.answers({ http_status: 503 });
  expect((await psp.authorize(request('card', 'token_1'))).kind).toBe('unknown');
  expect(replay.sent).toHaveLength(1);
});

test.each([
  ['created', 'pending', 0, 0],
  ['authorized', 'authorized', 0, 0],
  ['captured', 'captured', 1_000, 0],
  ['partly_refunded', 'captured', 1_000, 400],
  ['refunded', 'refunded', 1_000, 1_000],
  ['released', 'voided', 0, 0],
  ['failed', 'declined', 0, 0],
  ['failed_then_captured', 'captured', 1_000, 0],
])('a look answered %s reads %s', async (name, status, captured, refunded) => {
  replay.answers(payments.answers[name]);
  const known = await psp.lookUp({ reference: 'attempt-1', psp_ref: ORDER });
  expect(known).toMatchObject({
    kind: 'found',
    payment: { reference: 'attempt-1', psp_ref: ORDER, status, captured, refunded },
  });
});

test('an order without payments is absent, and one that is not theirs', async () => {
  for (const answer of [payments.answers.none, payments.answers.absent]) {
    replay.answers(answer);
    expect(await psp.lookUp({ reference: 'attempt-1', psp_ref: ORDER })).toEqual({ kind: 'absent' });
  }
});

const step = (amount: number) => ({
  ...{ reference: 'attempt-1', psp_ref: ORDER, currency: 'INR', amount },
  idempotency_key: 'attempt-1:refund:7',
});

test.each([
  ['captured', { kind: 'approved', payment: { status: 'captured', captured: 1_000 } }],
  ['already', { kind: 'declined', code: 'input_validation_failed' }],
  ['amount', { kind: 'declined', code: 'input_validation_failed' }],
])('a capture answered %s', async (name, outcome) => {
  replay.answers(payments.answers.authorized, capture.answers[name]);
  expect(await psp.capture(step(1_000))).toMatchObject(outcome);
  expect(faultsOf(replay.sent[1], capture)).toEqual([]);
});

test('what is captured is not captured again', async () => {
  replay.answers(payments.answers.captured);
  expect(await psp.capture(step(1_000))).toMatchObject({ kind: 'approved', payment: { status: 'captured' } });
  expect(replay.sent).toHaveLength(1);
});

test('a void is refused without being tried, and without capturing', async () => {
  replay.answers(payments.answers.authorized);
  expect(psp.capabilities.voids).toBe(false);
  expect(await psp.void(step(0))).toMatchObject({
    kind: 'declined',
    code: 'void_not_supported',
    payment: { status: 'authorized' },
  });
  expect(replay.sent.map(({ method }) => method)).toEqual(['GET']);
});

test.each([
  ['processed', { kind: 'approved', payment: { status: 'captured', refunded: 400 } }],
  ['pending', { kind: 'approved', payment: { status: 'captured', refunded: 400 } }],
  ['failed', { kind: 'declined', code: 'refund_rejected', payment: { refunded: 0 } }],
  ['other_request', { kind: 'unknown', reason: 'key_reused', answered: true }],
  ['in_progress', { kind: 'unknown', reason: 'http_409' }],
  ['too_much', { kind: 'declined', code: 'input_validation_failed' }],
])('a refund answered %s', async (name, outcome) => {
  replay.answers(payments.answers.captured, refund.answers[name]);
  expect(await psp.refund(step(400))).toMatchObject(outcome);
  expect(faultsOf(replay.sent[1], refund)).toEqual([]);
  expect(replay.sent[1].headers['x-refund-idempotency']).toBe('attempt-1_refund_7');
  expect(JSON.parse(replay.sent[1].text).receipt).toMatch(/^[0-9a-f]{40}$/);
});

const { events } = recorded<RecordedEvents>('razorpay', 'webhooks');
const hook = (event: unknown, secret = keys.webhook_secret) => {
  const raw = Buffer.from(JSON.stringify(event));
  return {
    raw,
    headers: {
      'x-razorpay-signature': createHmac('sha256', secret).update(raw).digest('hex'),
      'x-razorpay-event-id': 'evt_1',
    } as Record<string, string | undefined>,
  };
};

test.each([
  ['payment.authorized', { status: 'authorized' }],
  ['payment.captured', { status: 'captured', captured: 1_000 }],
  ['payment.failed', { status: 'declined', decline_code: 'card_declined' }],
  ['order.paid', { status: 'captured' }],
  ['refund.processed', { status: 'captured', refunded: 400 }],
  ['refund.created', { status: 'refunded', refunded: 1_000 }],
  ['auto_refund', { status: 'voided', captured: 0 }],
])('a webhook %s verifies and tells of the payment', async (name, payment) => {
  const { headers, raw } = hook(events[name]);
  const verified = await psp.verifyWebhook(headers, raw, Date.now());
  if (verified.kind !== 'genuine') throw new Error(JSON.stringify(verified));
  const reference = '6f1c2c1e-7d0c-4b9e-8a51-5f0d3a1b2c3d';
  expect(psp.readEvent(verified.body)).toMatchObject({
    reference,
    psp_ref: ORDER,
    amount: 1_000,
    ...payment,
  });
});

test("somebody else's payment on the same account tells of nothing", () => {
  expect(psp.readEvent(events.foreign)).toBeUndefined();
});

test('a webhook under a new event id is the same event: only what is signed counts', async () => {
  const { headers, raw } = hook(events['payment.captured']);
  const first = await psp.verifyWebhook(headers, raw, Date.now());
  const replayed = await psp.verifyWebhook({ ...headers, 'x-razorpay-event-id': 'evt_2' }, raw, Date.now());
  expect(replayed).toEqual(first);
  const other = hook(events['payment.authorized']);
  expect(await psp.verifyWebhook(other.headers, other.raw, Date.now())).not.toMatchObject({
    event_id: first.kind === 'genuine' ? first.event_id : '',
  });
});

test('a forged, truncated or unsigned webhook is refused', async () => {
  const { headers, raw } = hook(events['payment.captured']);
  const verdict = async (changed: Record<string, string | undefined>, body = raw) =>
    (await psp.verifyWebhook({ ...headers, ...changed }, body, Date.now())).kind;
  expect(await verdict({})).toBe('genuine');
  const signature = headers['x-razorpay-signature'] ?? '';
  for (const changed of [undefined, '', signature.slice(2), `${signature}00`, signature.replace(/.$/, 'z')]) {
    expect(await verdict({ 'x-razorpay-signature': changed })).toBe('refused');
  }
  expect(await verdict({ 'x-razorpay-event-id': undefined })).toBe('refused');
  expect(await verdict({}, raw.subarray(0, -1))).toBe('refused');
  expect(await verdict({}, Buffer.from(raw.toString().replace('1000', '9000')))).toBe('refused');
  const other = hook(events['payment.captured'], keys.key_secret);
  expect(await verdict(other.headers, other.raw)).toBe('refused');
  const empty = hook([]);
  expect(await verdict(empty.headers, empty.raw)).toBe('refused');
});
