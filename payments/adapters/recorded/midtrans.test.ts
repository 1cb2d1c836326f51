import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuthorizeRequest, Psp } from '../../port.ts';
import { createMidtransPsp } from '../midtrans.ts';
import {
  faultsOf,
  type Recorded,
  type RecordedEvents,
  type Replay,
  recorded,
  startReplay,
} from '../testing/replay.ts';

const server_key = 'SB-Mid-server-recorded';
let replay: Replay;
let psp: Psp;

beforeAll(async () => {
  replay = await startReplay();
  psp = createMidtransPsp({ url: replay.url, server_key, timeout_ms: 5_000 });
});
afterAll(async () => {
  psp.close();
  await replay.close();
});

const request = (
  type: 'card' | 'wallet',
  token: string,
  reference = 'C17550',
  amount = 14_500_000,
): AuthorizeRequest => ({
  ...{ reference, psp_ref: null, order_id: 'ord_1', idempotency_key: `${reference}:authorize`, amount },
  currency: 'IDR',
  payment_method: { type, token },
  expires_at: new Date(Date.now() + 600_000),
  return_url: 'https://shop.example/?order=ord_1',
});

const card = recorded<Recorded>('midtrans', 'charge-card');

test('a card charge is sent as documented, pre-authorized with 3-D Secure, in whole rupiah', async () => {
  replay.answers(card.answers.authorized);
  const outcome = await psp.authorize(request('card', 'tok'));
  expect(replay.sent.flatMap((sent) => faultsOf(sent, card))).toEqual([]);
  expect(JSON.parse(replay.sent[0].text)).toEqual({
    payment_type: 'credit_card',
    transaction_details: { order_id: 'C17550', gross_amount: 145_000 },
    credit_card: { token_id: 'tok', authentication: true, type: 'authorize' },
    custom_field1: 'ord_1',
  });
  expect(replay.sent[0].headers.authorization).toBe(
    `Basic ${Buffer.from(`${server_key}:`).toString('base64')}`,
  );
  expect(outcome).toEqual({
    kind: 'approved',
    payment: {
      ...{ reference: 'C17550', psp_ref: 'be4f3e44-d6ee-4355-8c64-c1d1dc7f4590', status: 'authorized' },
      ...{
        amount: 14_500_000,
        captured: 0,
        refunded: 0,
        currency: 'IDR',
        decline_code: null,
        next_action: null,
      },
    },
  });
});

test.each([
  ['denied', { kind: 'declined', code: 'do_not_honor' }],
  ['validation', { kind: 'declined', code: 'invalid_request' }],
  ['no_access', { kind: 'declined', code: 'method_not_supported' }],
  ['token_timed_out', { kind: 'declined', code: 'invalid_token' }],
  ['challenge', { kind: 'pending', next_action: { type: 'wait' } }],
  ['unauthorized', { kind: 'unknown', reason: 'status_401' }],
  ['rate_limit', { kind: 'unknown', reason: 'status_429' }],
  ['duplicate', { kind: 'unknown', reason: 'status_406', answered: true }],
  ['internal', { kind: 'unknown', reason: 'status_500', answered: true }],
  ['in_process', { kind: 'unknown', reason: 'http_202' }],
  ['proxy', { kind: 'unknown', reason: 'http_404' }],
])('a card charge answered %s', async (name, outcome) => {
  replay.answers(card.answers[name]);
  expect(await psp.authorize(request('card', 'tok'))).toMatchObject(outcome);
});

test("3-D Secure is pending with the bank's page, which leads back", async () => {
  replay.answers(card.answers.three_ds);
  const outcome = await psp.authorize(request('card', 'tok'));
  if (outcome.kind !== 'pending' || outcome.next_action.type !== 'redirect') throw new Error(outcome.kind);
  const url = new URL(outcome.next_action.url);
  expect(url.origin + url.pathname).toBe(
    (card.answers.three_ds.body as { redirect_url: string }).redirect_url,
  );
  expect(url.searchParams.get('callback_url')).toBe('https://shop.example/?order=ord_1');
});

test.each([
  ['charge-gopay', 'gopay', 'SAMPLE-ORDER-ID-01', 1_000_000, 'gojek://gopay/merchanttransfer'],
  [
    'charge-gopay',
    '00000269-7836-49e5-bc65-e592afafec14',
    'SAMPLE-ORDER-ID-01',
    1_000_000,
    'gojek://gopay/merchanttransfer',
  ],
  ['charge-qris', 'qris', 'order03', 27_500_000, 'https://api.midtrans.com/v2/qris/'],
])(
  '%s with %s is sent as documented and pending with what the buyer opens',
  async (name, token, reference, amount, url) => {
    const file = recorded<Recorded>('midtrans', name);
    replay.answers(file.answers.pending);
    const outcome = await psp.authorize(request('wallet', token, reference, amount));
    expect(faultsOf(replay.sent[0], file)).toEqual([]);
    expect(outcome).toMatchObject({
      kind: 'pending',
      payment: { status: 'pending', amount },
      next_action: { type: 'redirect', url: expect.stringContaining(url) },
    });
  },
);

test('an amount with sen is refused, and nothing is sent', async () => {
  replay.answers();
  expect(await psp.authorize(request('card', 'tok', 'C1', 14_500_050))).toEqual({
    kind: 'declined',
    code: 'amount_not_supported',
  });
  expect(replay.sent).toEqual([]);
});

test('a key too long for Midtrans is sent as its digest: the same each time, another for another key', async () => {
  const key = 'x'.repeat(47);
  const headers = [];
  for (const idempotency_key of [key, key, `${key}2`]) {
    replay.answers(card.answers.authorized);
    await psp.authorize({ ...request('card', 'tok'), idempotency_key });
    headers.push(replay.sent[0].headers['idempotency-key'] ?? '');
  }
  expect(headers[0]).toHaveLength(43);
  expect(headers[1]).toBe(headers[0]);
  expect(headers[2]).not.toBe(headers[0]);
});

const step = (reference: string, amount: number) => ({
  ...{ reference, psp_ref: '1ac1a089d-a587-40f1-a936-a7770667d6dd', currency: 'IDR', amount },
  idempotency_key: `${reference}:refund:9`,
});

const capture = recorded<Recorded>('midtrans', 'capture');
test.each([
  ['captured', { kind: 'approved', payment: { status: 'captured', captured: 5_500_000 } }],
  ['denied', { kind: 'declined', code: 'card_declined' }],
  ['not_modifiable', { kind: 'declined', code: 'invalid_state' }],
])('a capture answered %s', async (name, outcome) => {
  replay.answers(capture.answers[name]);
  const found = await psp.capture(step('A27550', 5_500_000));
  expect(faultsOf(replay.sent[0], capture)).toEqual([]);
  expect(found).toMatchObject(outcome);
  // The bank's no to a capture leaves the authorization: it must not read as a declined payment.
  if (name === 'denied') expect(found).not.toHaveProperty('payment');
});

const cancel = recorded<Recorded>('midtrans', 'cancel');
test.each([
  ['canceled', { kind: 'approved', payment: { status: 'voided' } }],
  ['not_modifiable', { kind: 'declined', code: 'invalid_state' }],
  ['absent', { kind: 'declined', code: 'not_found' }],
])('a cancel answered %s', async (name, outcome) => {
  replay.answers(cancel.answers[name]);
  expect(await psp.void(step('example-1424936368', 0))).toMatchObject(outcome);
  expect(faultsOf(replay.sent[0], cancel)).toEqual([]);
});

const status = recorded<Recorded>('midtrans', 'status');
const refund = recorded<Recorded>('midtrans', 'refund');
test.each([
  [
    'part',
    500_000,
    { kind: 'approved', payment: { status: 'captured', captured: 1_000_000, refunded: 500_000 } },
  ],
  ['whole', 1_000_000, { kind: 'approved', payment: { status: 'refunded', refunded: 1_000_000 } }],
  [
    'denied',
    500_000,
    { kind: 'declined', code: 'refund_rejected', payment: { status: 'captured', refunded: 0 } },
  ],
  ['amount', 500_000, { kind: 'declined', code: 'refund_rejected' }],
  ['not_modifiable', 500_000, { kind: 'declined', code: 'invalid_state' }],
  ['duplicate', 500_000, { kind: 'unknown', answered: true }],
])('a refund answered %s', async (name, amount, outcome) => {
  replay.answers(status.answers.settlement, refund.answers[name]);
  const found = await psp.refund(step('vtcc05', amount));
  expect(faultsOf(replay.sent[0], status)).toEqual([]);
  expect(faultsOf(replay.sent[1], refund)).toEqual([]);
  expect(JSON.parse(replay.sent[1].text)).toMatchObject({
    refund_key: 'vtcc05_refund_9',
    amount: amount / 100,
  });
  expect(found).toMatchObject(outcome);
});

test('what is not settled yet is given back whole by a cancel, and in parts not at all', async () => {
  replay.answers(status.answers.capture, cancel.answers.canceled);
  expect(await psp.refund(step('vtcc05', 1_000_000))).toMatchObject({
    kind: 'approved',
    payment: { status: 'voided' },
  });
  expect(replay.sent[1].path).toBe('/v2/vtcc05/cancel');
  replay.answers(status.answers.capture);
  expect(await psp.refund(step('vtcc05', 500_000))).toMatchObject({ kind: 'declined', code: 'not_settled' });
  expect(replay.sent).toHaveLength(1);
});

test.each([
  ['pending', 'pending', 0, 0],
  ['authorize', 'authorized', 0, 0],
  ['capture', 'captured', 1_000_000, 0],
  ['challenge', 'pending', 0, 0],
  ['settlement', 'captured', 1_000_000, 0],
  ['partial_refund', 'captured', 1_000_000, 700_000],
  ['refund', 'refunded', 1_000_000, 1_000_000],
  ['chargeback', 'refunded', 1_000_000, 1_000_000],
  ['cancel', 'voided', 0, 0],
  ['deny', 'declined', 0, 0],
  ['expire', 'declined', 0, 0],
  ['failure', 'declined', 0, 0],
])('a look answered %s reads %s', async (name, read, captured, refunded) => {
  replay.answers(status.answers[name]);
  const known = await psp.lookUp({ reference: 'vtcc05', psp_ref: null });
  expect(known).toMatchObject({
    kind: 'found',
    payment: { status: read, captured, refunded, currency: 'IDR' },
  });
});

test('a look that finds nothing is absent, one that could not look is unknown', async () => {
  replay.answers(status.answers.absent);
  expect(await psp.lookUp({ reference: 'vtcc05', psp_ref: null })).toEqual({ kind: 'absent' });
  for (const answer of [card.answers.proxy, card.answers.unauthorized, card.answers.internal]) {
    replay.answers(answer);
    expect((await psp.lookUp({ reference: 'vtcc05', psp_ref: null })).kind).toBe('unknown');
  }
});

const { events } = recorded<RecordedEvents>('midtrans', 'notifications');
const signed = (event: Record<string, unknown>, key = server_key): Buffer => {
  const signature_key = createHash('sha512')
    .update(`${event.order_id}${event.status_code}${event.gross_amount}${key}`)
    .digest('hex');
  return Buffer.from(JSON.stringify({ ...event, signature_key }));
};

test.each([
  ['authorize', 'authorized'],
  ['capture', 'captured'],
  ['settlement', 'captured'],
  ['pending', 'pending'],
  ['expire', 'declined'],
  ['cancel', 'voided'],
  ['deny', 'declined'],
  ['refund', 'refunded'],
])('a notification %s verifies, and reads %s once Midtrans was asked', async (name, read) => {
  replay.answers({ http_status: 200, body: events[name] });
  const verified = await psp.verifyWebhook({}, signed(events[name]), Date.now());
  if (verified.kind !== 'genuine') throw new Error(JSON.stringify(verified));
  expect(psp.readEvent(verified.body)).toMatchObject({
    reference: 'A27550',
    status: read,
    amount: 5_500_000,
  });
});

test('a status that was changed under a genuine signature is not believed: Midtrans says how it stands', async () => {
  replay.answers({ http_status: 200, body: events.authorize });
  const forged = signed({ ...events.authorize, transaction_status: 'settlement' });
  const verified = await psp.verifyWebhook({}, forged, Date.now());
  expect(verified.kind === 'genuine' && psp.readEvent(verified.body)).toMatchObject({
    status: 'authorized',
    captured: 0,
  });
});

test('a notification without the sum of its partial refunds tells of no payment', () => {
  expect(psp.readEvent(events.partial_refund)).toBeUndefined();
});

test('a notification that Midtrans can not be asked about is sent again; a forged one makes nobody ask', async () => {
  replay.answers({ http_status: 503 });
  expect((await psp.verifyWebhook({}, signed(events.capture), Date.now())).kind).toBe('unsure');
  replay.answers();
  const raw = signed(events.capture);
  const bad = [
    signed(events.capture, 'another key'),
    Buffer.from(raw.toString().replace('55000.00', '95000.00')),
    Buffer.from(raw.toString().replace(/"signature_key":"[0-9a-f]+"/, '"signature_key":""')),
    Buffer.from(raw.toString().replace(/,"signature_key":"[0-9a-f]+"/, '')),
    Buffer.from(raw.toString().replace(/("signature_key":"[0-9a-f]{64})[0-9a-f]*/, '$1')),
    raw.subarray(0, 40),
    Buffer.from('[]'),
  ];
  for (const body of bad) expect((await psp.verifyWebhook({}, body, Date.now())).kind).toBe('refused');
  expect(replay.sent).toEqual([]);
});

test('the same state told twice is one event, another state another', async () => {
  const idOf = async (event: Record<string, unknown>) => {
    replay.answers({ http_status: 200, body: event });
    const verified = await psp.verifyWebhook({}, signed(event), Date.now());
    return verified.kind === 'genuine' ? verified.event_id : verified.kind;
  };
  const ids = [];
  for (const event of [
    events.capture,
    events.capture,
    events.settlement,
    { ...events.partial_refund, refund_amount: '1.00' },
    { ...events.partial_refund, refund_amount: '2.00' },
  ])
    ids.push(await idOf(event));
  expect(ids[1]).toBe(ids[0]);
  expect(new Set(ids).size).toBe(4);
});
