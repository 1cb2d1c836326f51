import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AuthorizeRequest, Psp } from '../../port.ts';
import { makeCertificate } from '../../sandbox/wires/paypal-certificate.ts';
import { createPayPalPsp } from '../paypal.ts';
import { certificateFolders, certificateUrl } from '../paypal-webhook.ts';
import {
  faultsOf,
  type Recorded,
  type RecordedAnswer,
  type RecordedEvents,
  type Replay,
  recorded,
  startReplay,
} from '../testing/replay.ts';

const keys = { client_id: 'client', client_secret: 'secret', webhook_id: 'WH-1JE4291016473214C' };
const ORDER = '5O190127TN364715T';
const REFERENCE = '6f1c2c1e-7d0c-4b9e-8a51-5f0d3a1b2c3d';
let replay: Replay;
let psp: Psp;

const token = recorded<Recorded>('paypal', 'token');
const create = recorded<Recorded>('paypal', 'order-create');
const show = recorded<Recorded>('paypal', 'order-show');
const authorize = recorded<Recorded>('paypal', 'order-authorize');
const capture = recorded<Recorded>('paypal', 'capture');
const void_ = recorded<Recorded>('paypal', 'void');
const refund = recorded<Recorded>('paypal', 'refund');

beforeAll(async () => {
  replay = await startReplay();
});
beforeEach(() => {
  psp = createPayPalPsp({ url: replay.url, ...keys, timeout_ms: 5_000 });
});
afterEach(() => psp.close());
afterAll(() => replay.close());

/** The access token comes first. */
const answers = (...next: RecordedAnswer[]) => replay.answers(token.answers.granted, ...next);

const request = (
  type: 'card' | 'wallet',
  method: string,
  amount = 10_000,
  currency = 'USD',
): AuthorizeRequest => ({
  ...{ reference: REFERENCE, psp_ref: ORDER, order_id: 'ord_1', idempotency_key: `${REFERENCE}:authorize` },
  ...{ amount, currency },
  payment_method: { type, token: method },
  expires_at: new Date(Date.now() + 600_000),
  return_url: 'https://shop.example/?order=ord_1',
});
const step = (amount: number) => ({
  ...{ reference: REFERENCE, psp_ref: ORDER, currency: 'USD', amount },
  idempotency_key: `${REFERENCE}:step`,
});

describe('access token', () => {
  test('is asked for as documented, once for many calls', async () => {
    answers(show.answers.authorized, show.answers.authorized);
    await psp.lookUp({ reference: REFERENCE, psp_ref: ORDER });
    await psp.lookUp({ reference: REFERENCE, psp_ref: ORDER });
    expect(faultsOf(replay.sent[0], token)).toEqual([]);
    expect(replay.sent[0].headers.authorization).toBe(
      `Basic ${Buffer.from('client:secret').toString('base64')}`,
    );
    expect(replay.sent.map(({ path }) => path)).toEqual([
      token.request.path,
      show.request.path,
      show.request.path,
    ]);
    const { access_token } = token.answers.granted.body as { access_token: string };
    expect(replay.sent[1].headers.authorization).toBe(`Bearer ${access_token}`);
  });

  test('that was refused is asked for anew, once; then nothing is known', async () => {
    const expired = { http_status: 401, body: { error: 'invalid_token' } };
    answers(expired, token.answers.granted, show.answers.authorized);
    expect((await psp.lookUp({ reference: REFERENCE, psp_ref: ORDER })).kind).toBe('found');
    replay.answers(expired, token.answers.granted, expired);
    expect((await psp.lookUp({ reference: REFERENCE, psp_ref: ORDER })).kind).toBe('unknown');
    expect(replay.sent).toHaveLength(3);
  });

  test('that nobody grants leaves everything unknown, and nothing was sent', async () => {
    replay.answers(token.answers.refused);
    expect((await psp.authorize(request('wallet', 'paypal'))).kind).toBe('unknown');
    expect(replay.sent).toHaveLength(1);
  });
});

test('an order for approval is made as documented, with its way back', async () => {
  answers(create.answers.payer_action);
  expect(await psp.create?.(request('wallet', 'paypal'))).toEqual({ kind: 'created', psp_ref: ORDER });
  expect(faultsOf(replay.sent[1], create)).toEqual([]);
  const { intent, purchase_units, payment_source } = JSON.parse(replay.sent[1].text);
  expect(intent).toBe('AUTHORIZE');
  expect(purchase_units[0]).toMatchObject({
    custom_id: REFERENCE,
    amount: { currency_code: 'USD', value: '100.00' },
  });
  expect(payment_source.paypal.experience_context.return_url).toBe('https://shop.example/?order=ord_1');
});

test('an order for a vaulted method is made without it: with it, it would be paid at once', async () => {
  for (const type of ['card', 'wallet'] as const) {
    answers(create.answers.created);
    psp = createPayPalPsp({ url: replay.url, ...keys, timeout_ms: 5_000 });
    expect(await psp.create?.(request(type, 'VAULT-ID'))).toEqual({ kind: 'created', psp_ref: ORDER });
    expect(faultsOf(replay.sent[1], create)).toEqual([]);
    expect(JSON.parse(replay.sent[1].text)).not.toHaveProperty('payment_source');
  }
});

test.each([
  ['currency', { kind: 'declined', code: 'currency_not_supported' }],
  ['malformed', { kind: 'declined', code: 'invalid_request' }],
  ['not_authorized', { kind: 'unknown', reason: 'http_403' }],
  ['rate_limit', { kind: 'unknown', reason: 'http_429' }],
  ['server_error', { kind: 'unknown', reason: 'http_500', answered: true }],
])('an order answered %s', async (name, created) => {
  answers(create.answers[name]);
  expect(await psp.create?.(request('wallet', 'paypal'))).toEqual(created);
});

test.each([
  [1_234, 'JPY', '1234'],
  [123_400, 'HUF', '1234'],
  [123_400, 'TWD', '1234'],
  [1_005, 'EUR', '10.05'],
  [7, 'USD', '0.07'],
])('%i of %s is written %s', async (amount, currency, value) => {
  answers(create.answers.created);
  await psp.create?.(request('wallet', 'paypal', amount, currency));
  expect(JSON.parse(replay.sent[1].text).purchase_units[0].amount).toEqual({
    currency_code: currency,
    value,
  });
});

test.each([
  [123_450, 'HUF', 'amount_not_supported'],
  [100, 'KWD', 'currency_not_supported'],
  [100, 'IDR', 'currency_not_supported'],
])('%i of %s is refused with %s, and nothing is sent', async (amount, currency, code) => {
  replay.answers();
  expect(await psp.create?.(request('wallet', 'paypal', amount, currency))).toEqual({
    kind: 'declined',
    code,
  });
  expect(replay.sent).toEqual([]);
});

test.each(['payer_action', 'created'])(
  'an order that is %s waits for its buyer, and is not authorized',
  async (name) => {
    answers(show.answers[name]);
    const url = name === 'payer_action' ? `https://www.paypal.com/checkoutnow?token=${ORDER}` : undefined;
    const outcome = await psp.authorize(request('wallet', 'paypal'));
    expect(outcome).toMatchObject({ kind: 'pending', payment: { status: 'pending', amount: 10_000 } });
    expect(outcome.kind === 'pending' && outcome.next_action).toEqual(
      url ? { type: 'redirect', url } : { type: 'wait' },
    );
    expect(replay.sent.map(({ method }) => method)).toEqual(['POST', 'GET']);
  },
);

test('an approved order is authorized as documented', async () => {
  answers(show.answers.approved, authorize.answers.authorized);
  const outcome = await psp.authorize(request('wallet', 'paypal'));
  expect(faultsOf(replay.sent[1], show)).toEqual([]);
  expect(faultsOf(replay.sent[2], authorize)).toEqual([]);
  expect(replay.sent[2].headers['paypal-request-id']).toBe(`${REFERENCE}:authorize`);
  expect(outcome).toEqual({
    kind: 'approved',
    payment: {
      ...{ reference: REFERENCE, psp_ref: ORDER, status: 'authorized', amount: 10_000, currency: 'USD' },
      ...{ captured: 0, refunded: 0, decline_code: null, next_action: null },
    },
  });
});

test.each([
  ['card', 'card'],
  ['wallet', 'paypal'],
] as const)(
  'a vaulted %s is authorized without approval, and a bank that asks leads back',
  async (type, source) => {
    answers(show.answers.created, authorize.answers.authorized);
    expect((await psp.authorize(request(type, 'VAULT-ID'))).kind).toBe('approved');
    expect(faultsOf(replay.sent[2], authorize)).toEqual([]);
    const { return_url } = request(type, 'VAULT-ID');
    const experience_context = { return_url, cancel_url: return_url };
    expect(JSON.parse(replay.sent[2].text)).toEqual({
      payment_source: { [source]: { vault_id: 'VAULT-ID', experience_context } },
    });
  },
);

test.each([
  ['denied', { kind: 'declined', code: 'expired_card' }],
  ['instrument_declined', { kind: 'declined', code: 'card_declined' }],
  ['card_expired', { kind: 'declined', code: 'expired_card' }],
  ['payer_action', { kind: 'pending', next_action: { type: 'redirect' } }],
  ['already', { kind: 'unknown', reason: 'http_422', answered: true }],
  ['duplicate_invoice', { kind: 'unknown', reason: 'http_422', answered: true }],
  ['unlisted', { kind: 'unknown', reason: 'http_422', answered: true }],
  ['conflict', { kind: 'unknown', reason: 'http_409' }],
])('an authorization answered %s', async (name, outcome) => {
  answers(show.answers.created, authorize.answers[name]);
  expect(await psp.authorize(request('card', 'VAULT-ID'))).toMatchObject(outcome);
});

test.each(['authorized', 'captured', 'refunded', 'authorization_voided', 'denied'])(
  'an order that is %s is not authorized again',
  async (name) => {
    answers(show.answers[name]);
    await psp.authorize(request('card', 'VAULT-ID'));
    expect(replay.sent.map(({ method }) => method)).toEqual(['POST', 'GET']);
  },
);

test.each([
  ['authorized', 'authorized', 0, 0],
  ['held_for_review', 'pending', 0, 0],
  ['denied', 'declined', 0, 0],
  ['authorization_voided', 'voided', 0, 0],
  ['captured', 'captured', 10_000, 0],
  ['capture_pending', 'pending', 0, 0],
  ['partly_refunded', 'captured', 10_000, 4_000],
  ['refund_under_way', 'captured', 10_000, 0],
  ['refunded', 'refunded', 10_000, 10_000],
])('a look answered %s reads %s', async (name, status, captured, refunded) => {
  answers(show.answers[name]);
  const known = await psp.lookUp({ reference: REFERENCE, psp_ref: ORDER });
  expect(known).toMatchObject({ kind: 'found', payment: { status, captured, refunded, amount: 10_000 } });
});

test.each(['created', 'payer_action', 'approved', 'voided', 'absent'])(
  'an order that is %s holds nothing: absent',
  async (name) => {
    answers(show.answers[name]);
    expect(await psp.lookUp({ reference: REFERENCE, psp_ref: ORDER })).toEqual({ kind: 'absent' });
  },
);

test.each([
  ['captured', { kind: 'approved', payment: { status: 'captured', captured: 10_000 } }],
  ['pending', { kind: 'pending', payment: { status: 'pending' } }],
  ['declined', { kind: 'declined', payment: { status: 'authorized' } }],
  ['expired', { kind: 'declined', code: 'expired' }],
  ['already', { kind: 'unknown', answered: true }],
])('a capture answered %s', async (name, outcome) => {
  answers(show.answers.authorized, capture.answers[name]);
  expect(await psp.capture(step(10_000))).toMatchObject(outcome);
  expect(faultsOf(replay.sent[2], capture)).toEqual([]);
});

test('what is captured is not captured again', async () => {
  answers(show.answers.captured);
  expect(await psp.capture(step(10_000))).toMatchObject({
    kind: 'approved',
    payment: { status: 'captured' },
  });
  expect(replay.sent).toHaveLength(2);
});

test.each([
  ['voided', { kind: 'approved', payment: { status: 'voided' } }],
  ['no_content', { kind: 'approved', payment: { status: 'voided' } }],
  ['captured', { kind: 'unknown', answered: true }],
  ['voided_before', { kind: 'unknown', answered: true }],
])('a void answered %s', async (name, outcome) => {
  answers(show.answers.authorized, void_.answers[name]);
  expect(await psp.void(step(0))).toMatchObject(outcome);
  expect(faultsOf(replay.sent[2], void_)).toEqual([]);
});

test.each([
  ['part', 4_000, { kind: 'approved', payment: { status: 'captured', refunded: 4_000 } }],
  ['whole', 10_000, { kind: 'approved', payment: { status: 'refunded', refunded: 10_000 } }],
  ['pending', 4_000, { kind: 'approved', payment: { status: 'captured', refunded: 0 } }],
  ['failed', 4_000, { kind: 'declined', code: 'refund_rejected' }],
  ['too_much', 4_000, { kind: 'declined', code: 'amount_mismatch' }],
  ['fully', 4_000, { kind: 'unknown', answered: true }],
])('a refund answered %s', async (name, amount, outcome) => {
  answers(show.answers.captured, refund.answers[name]);
  expect(await psp.refund(step(amount))).toMatchObject(outcome);
  expect(faultsOf(replay.sent[2], refund)).toEqual([]);
});

describe('webhooks', () => {
  const { events } = recorded<RecordedEvents>('paypal', 'webhooks');
  const certificate = makeCertificate('messageverificationcerts.paypal.com', Date.now());
  const served = { http_status: 200, text: certificate.pem };
  const hook = (event: unknown, now_ms = Date.now(), signer = certificate) => {
    const raw = Buffer.from(JSON.stringify(event));
    const id = '69cd13f0-d67a-11e5-baa3-778b53f4ae55';
    const time = new Date(now_ms).toISOString();
    return {
      raw,
      headers: {
        'paypal-auth-algo': 'SHA256withRSA',
        'paypal-cert-url': `${replay.url}/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270`,
        'paypal-transmission-id': id,
        'paypal-transmission-time': time,
        'paypal-transmission-sig': signer.sign(`${id}|${time}|${keys.webhook_id}|${crc32(raw)}`),
      } as Record<string, string | undefined>,
    };
  };

  test.each([
    ['CHECKOUT.ORDER.APPROVED', { status: 'pending', psp_ref: ORDER, amount: 10_000 }],
    ['PAYMENT.AUTHORIZATION.CREATED', { status: 'authorized', psp_ref: ORDER, amount: 10_000 }],
    ['PAYMENT.AUTHORIZATION.VOIDED', { status: 'voided', psp_ref: ORDER }],
    ['PAYMENT.CAPTURE.COMPLETED', { status: 'captured', captured: 10_000, psp_ref: ORDER }],
    ['PAYMENT.CAPTURE.REFUNDED', undefined],
    ['PAYMENT.CAPTURE.PENDING', undefined],
  ])('%s verifies and tells of what it can', async (name, payment) => {
    replay.answers(served);
    const { headers, raw } = hook(events[name]);
    const verified = await psp.verifyWebhook(headers, raw, Date.now());
    if (verified.kind !== 'genuine') throw new Error(JSON.stringify(verified));
    expect(verified.event_id).toBe('WH-2WR32451HC0233532-67976317FL4543714');
    const read = psp.readEvent(verified.body);
    if (payment === undefined) expect(read).toBeUndefined();
    else expect(read).toMatchObject({ reference: REFERENCE, currency: 'USD', ...payment });
  });

  test('the certificate is fetched once for many', async () => {
    replay.answers(served);
    const { headers, raw } = hook(events['PAYMENT.CAPTURE.COMPLETED']);
    const verdicts = await Promise.all([1, 2, 3].map(() => psp.verifyWebhook(headers, raw, Date.now())));
    verdicts.push(await psp.verifyWebhook(headers, raw, Date.now()));
    expect(verdicts.map(({ kind }) => kind)).toEqual(['genuine', 'genuine', 'genuine', 'genuine']);
    expect(replay.sent).toHaveLength(1);
  });

  test('a forged, changed, truncated, old or future webhook is refused', async () => {
    const { headers, raw } = hook(events['PAYMENT.CAPTURE.COMPLETED']);
    const now_ms = Date.now();
    replay.answers(served);
    const verdict = async (changed: Record<string, string | undefined>, body = raw, at_ms = now_ms) =>
      (await psp.verifyWebhook({ ...headers, ...changed }, body, at_ms)).kind;
    expect(await verdict({})).toBe('genuine');
    for (const name of Object.keys(headers)) expect(await verdict({ [name]: undefined })).toBe('refused');
    expect(await verdict({ 'paypal-transmission-sig': 'AAAA' })).toBe('refused');
    expect(await verdict({ 'paypal-auth-algo': 'none' })).toBe('refused');
    expect(await verdict({ 'paypal-transmission-id': 'another' })).toBe('refused');
    expect(await verdict({ 'paypal-transmission-time': new Date(now_ms + 1_000).toISOString() })).toBe(
      'refused',
    );
    expect(await verdict({}, raw.subarray(0, -1))).toBe('refused');
    expect(await verdict({}, Buffer.from(raw.toString().replace('100.00', '900.00')))).toBe('refused');
    expect(await verdict({}, raw, now_ms + 302_000)).toBe('refused');
    expect(await verdict({}, raw, now_ms - 302_000)).toBe('refused');
    const other = hook(events['PAYMENT.CAPTURE.COMPLETED'], now_ms, makeCertificate('attacker', now_ms));
    expect(await verdict(other.headers, other.raw)).toBe('refused');
  });

  test("another account's webhook is refused: our webhook's id is part of what is signed", async () => {
    psp = createPayPalPsp({ url: replay.url, ...keys, webhook_id: 'WH-ANOTHER' });
    replay.answers(served);
    const { headers, raw } = hook(events['PAYMENT.CAPTURE.COMPLETED']);
    expect((await psp.verifyWebhook(headers, raw, Date.now())).kind).toBe('refused');
  });

  test('an expired certificate does not count; one that is not to be had now is asked for again', async () => {
    const old = makeCertificate('messageverificationcerts.paypal.com', Date.now() - 800 * 86_400_000);
    const { headers, raw } = hook(events['PAYMENT.CAPTURE.COMPLETED'], Date.now(), old);
    replay.answers({ http_status: 200, text: old.pem });
    expect(await psp.verifyWebhook(headers, raw, Date.now())).toEqual({
      kind: 'refused',
      reason: 'certificate expired',
    });
    psp = createPayPalPsp({ url: replay.url, ...keys });
    replay.answers({ http_status: 503 }, served);
    const fresh = hook(events['PAYMENT.CAPTURE.COMPLETED']);
    expect((await psp.verifyWebhook(fresh.headers, fresh.raw, Date.now())).kind).toBe('unsure');
    expect((await psp.verifyWebhook(fresh.headers, fresh.raw, Date.now())).kind).toBe('genuine');
  });

  test('whoever names certificates at will does not make us ask for ever', async () => {
    replay.answers();
    for (let i = 0; i < 30; i++) {
      const { headers, raw } = hook(events['PAYMENT.CAPTURE.COMPLETED']);
      const named = { ...headers, 'paypal-cert-url': `${replay.url}/v1/notifications/certs/CERT-${i}` };
      expect((await psp.verifyWebhook(named, raw, Date.now())).kind).not.toBe('genuine');
    }
    expect(replay.sent.length).toBeLessThanOrEqual(10);
  });

  test.each([
    ['https://api.paypal.com/v1/notifications/certs/CERT-1', true],
    ['https://api-m.paypal.com/v1/notifications/certs/CERT-1', true],
    ['http://api.paypal.com/v1/notifications/certs/CERT-1', false],
    ['https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1', false],
    ['https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1', false],
    ['https://evil.example/v1/notifications/certs/CERT-1', false],
    ['https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1', false],
    ['https://api.paypal.com:8443/v1/notifications/certs/CERT-1', false],
    ['https://api.paypal.com/v1/notifications/certs/../../../upload/mine.pem', false],
    ['https://api.paypal.com/v1/notifications/certs/CERT-1?to=https://evil.example', false],
    ['https://api.paypal.com/v1/notifications/certs/', false],
    ['file:///etc/passwd', false],
    ['http://127.0.0.1:6379/', false],
    ['CERT-1', false],
  ])('a certificate at %s: %s', (address, trusted) => {
    expect(certificateUrl(address, certificateFolders('https://api-m.paypal.com')) !== undefined).toBe(
      trusted,
    );
  });
});
