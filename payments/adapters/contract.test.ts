/**
 * What every provider has to keep to, run through its real adapter against the sandbox's wire of that provider. A row a
 * provider; what one can't do is in its capabilities, and then refused.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { sandboxKeys } from '../../platform/sandbox-keys.ts';
import {
  type AuthorizeRequest,
  idempotencyKey,
  type Outcome,
  type Payment,
  type PaymentStatus,
  type Psp,
} from '../port.ts';
import { startTestSandbox, TEST_SECRET, type TestSandbox } from '../sandbox/testing/start.ts';
import { refuseTerms } from '../terms.ts';
import { createMidtransPsp } from './midtrans.ts';
import { createPayPalPsp } from './paypal.ts';
import { createRazorpayPsp } from './razorpay.ts';
import { createSandboxPsp } from './sandbox.ts';
import { createStripePsp } from './stripe.ts';

type Row = {
  name: string;
  make(url: string): Psp;
  amount: number;
  currency: string;
  /** One that it does not take. */
  foreign?: string;
  /** How its webhooks' age is told; absent where it signs none. */
  aged?: true;
  /** Its buyer approves first, on a page of its own; it is asked for the money then. */
  approved_first?: true;
};

const keys = sandboxKeys(TEST_SECRET);
const FAST = { timeout_ms: 1_000 };

const ROWS: readonly Row[] = [
  {
    name: 'sandbox',
    make: (url) => createSandboxPsp({ url, secret: TEST_SECRET, ...FAST }),
    amount: 1_299,
    currency: 'USD',
    aged: true,
  },
  {
    name: 'stripe',
    make: (url) => createStripePsp({ url: `${url}/stripe`, ...keys.stripe, ...FAST }),
    amount: 1_299,
    currency: 'USD',
    foreign: 'LYD',
    aged: true,
  },
  {
    name: 'midtrans',
    make: (url) => createMidtransPsp({ url: `${url}/midtrans`, ...keys.midtrans, ...FAST }),
    amount: 14_500_000,
    currency: 'IDR',
    foreign: 'USD',
  },
  {
    name: 'razorpay',
    make: (url) => createRazorpayPsp({ url: `${url}/razorpay`, ...keys.razorpay, ...FAST }),
    amount: 50_000,
    currency: 'INR',
    foreign: 'XOF',
  },
  {
    name: 'paypal',
    make: (url) => createPayPalPsp({ url: `${url}/paypal`, ...keys.paypal, ...FAST }),
    amount: 1_099,
    currency: 'USD',
    foreign: 'XOF',
    approved_first: true,
  },
];

type Hook = { path: string; headers: Record<string, string | undefined>; raw: Buffer };

let sandbox: TestSandbox;
let hooks: Server;
let received: Hook[] = [];

beforeAll(async () => {
  hooks = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const headers = request.headers as Record<string, string>;
    received.push({ path: request.url ?? '', headers, raw: Buffer.concat(chunks) });
    response.writeHead(200).end();
  });
  hooks.listen(0, '127.0.0.1');
  await once(hooks, 'listening');
  const { port } = hooks.address() as AddressInfo;
  sandbox = await startTestSandbox({ webhook_url: `http://127.0.0.1:${port}/sandbox` });
});

afterAll(async () => {
  await sandbox.stop();
  hooks.close();
});

beforeEach(async () => {
  received = [];
  await sandbox.admin('faults', { faults: [] });
  await sandbox.admin('settings', { slow_ms: 100, late_ms: 50, upi_ms: 50, events: 'untold' });
});

describe.each(ROWS)('$name', ({ name, make, amount, currency, foreign, aged, approved_first }) => {
  let psp: Psp;
  beforeAll(() => {
    psp = make(sandbox.url);
  });
  afterAll(() => psp.close());

  const ask = (token: string, type: 'card' | 'upi' | 'wallet' = 'card'): AuthorizeRequest => {
    const reference = randomUUID();
    return {
      reference,
      psp_ref: null,
      order_id: `order_${reference}`,
      idempotency_key: idempotencyKey(reference, 'authorize'),
      ...{ amount, currency },
      payment_method: { type, token },
      expires_at: new Date(Date.now() + 600_000),
      return_url: 'http://127.0.0.1/?order=1',
      contact: { email: 'buyer@example.com', phone: '+919090909090' },
    };
  };

  /** As the saga does: made first where that is the provider's way, and its reference stored. */
  async function created(request: AuthorizeRequest): Promise<AuthorizeRequest> {
    if (!psp.create) return request;
    const made = await psp.create({
      ...request,
      idempotency_key: idempotencyKey(request.reference, 'create'),
    });
    if (made.kind !== 'created') throw new Error(JSON.stringify(made));
    return { ...request, psp_ref: made.psp_ref };
  }

  const look = (request: AuthorizeRequest) => psp.lookUp(request);
  const statusOf = async (request: AuthorizeRequest): Promise<PaymentStatus | string> => {
    const known = await look(request);
    return known.kind === 'found' ? known.payment.status : known.kind;
  };

  async function authorized() {
    const request = await created(ask('pm_ok'));
    const outcome = await psp.authorize(request);
    if (outcome.kind !== 'approved') throw new Error(JSON.stringify(outcome));
    const at = { ...request, psp_ref: outcome.payment.psp_ref };
    const step = (what: 'capture' | 'void' | 'refund', of = amount, refund_id?: string) => ({
      reference: request.reference,
      psp_ref: outcome.payment.psp_ref,
      idempotency_key: idempotencyKey(request.reference, what, 1, refund_id),
      ...{ amount: of, currency },
    });
    return { request: at, payment: outcome.payment, step };
  }

  /** What the webhooks so far tell. */
  const readAll = () =>
    Promise.all(
      received.map(async ({ headers, raw }) => {
        const verified = await psp.verifyWebhook(headers, raw, Date.now());
        return verified.kind === 'genuine' ? psp.readEvent(verified.body)?.status : verified.kind;
      }),
    );

  const money = (payment: Payment) => [payment.status, payment.captured, payment.refunded];
  const paid = (outcome: Outcome) => {
    if (outcome.kind !== 'approved') throw new Error(JSON.stringify(outcome));
    return money(outcome.payment);
  };

  test('authorize, capture, two partial refunds: every answer and every look tells the sums', async () => {
    const { request, payment, step } = await authorized();
    expect(payment).toMatchObject({ reference: request.reference, amount, currency, status: 'authorized' });
    expect(paid(await psp.capture(step('capture')))).toEqual(['captured', amount, 0]);
    const part = currency === 'IDR' ? 500_000 : 300;
    expect(paid(await psp.refund(step('refund', part, randomUUID())))).toEqual(['captured', amount, part]);
    const known = await look(request);
    expect(known.kind === 'found' && money(known.payment)).toEqual(['captured', amount, part]);
    expect(paid(await psp.refund(step('refund', amount - part)))).toEqual(['refunded', amount, amount]);
    expect(await statusOf(request)).toBe('refunded');
  });

  test('a refund asked for again under its key gives nothing back twice', async () => {
    const { request, step } = await authorized();
    await psp.capture(step('capture'));
    const part = step('refund', amount - 10_000 > 0 ? 10_000 : 100, randomUUID());
    await psp.refund(part);
    await psp.refund(part);
    const known = await look(request);
    expect(known.kind === 'found' && known.payment.refunded).toBe(part.amount);
  });

  test('an authorization is voided, where the provider can; else the refusal says how it stands', async () => {
    const { request, step } = await authorized();
    const outcome = await psp.void(step('void'));
    if (psp.capabilities.voids === false) {
      expect(outcome).toMatchObject({
        kind: 'declined',
        code: 'void_not_supported',
        payment: { status: 'authorized' },
      });
      expect(await statusOf(request)).toBe('authorized');
    } else {
      expect(paid(outcome)).toEqual(['voided', 0, 0]);
      expect(await statusOf(request)).toBe('voided');
    }
  });

  test.each([
    ['pm_declined', 'card_declined'],
    ['pm_insufficient_funds', 'insufficient_funds'],
    ['pm_expired_card', 'expired_card'],
    ['nonsense', 'invalid_token'],
  ])('%s is declined with %s', async (token, code) => {
    expect(await psp.authorize(await created(ask(token)))).toMatchObject({ kind: 'declined', code });
  });

  test('a lost answer is unknown, a look finds the payment, and asking again makes no second one', async () => {
    const request = await created(ask('pm_timeout'));
    expect(await psp.authorize(request)).toMatchObject({ kind: 'unknown', reason: 'timeout' });
    expect(await statusOf(request)).toBe('authorized');
    const again = await psp.authorize(request);
    expect(again.kind).not.toBe('declined');
    expect((await sandbox.testimony()).orders.get(request.order_id)?.payments).toBe(1);
  });

  test('a 500 with nothing done is unknown and answered; a look finds nothing, the same key succeeds', async () => {
    const request = await created(ask('pm_error_once'));
    expect(await psp.authorize(request)).toMatchObject({ kind: 'unknown', answered: true });
    expect(await statusOf(request)).toBe('absent');
    expect((await psp.authorize(request)).kind).toBe('approved');
  });

  test('down is unknown, and not an error answered', async () => {
    const request = await created(ask('pm_ok'));
    await sandbox.admin('faults', { faults: [{ on: '*', kind: 'unavailable' }] });
    const outcome = await psp.authorize(request);
    expect(outcome.kind).toBe('unknown');
    expect(outcome).not.toHaveProperty('answered');
    expect((await look(request)).kind).toBe('unknown');
  });

  test('nothing is found under a reference that was never used', async () => {
    expect(await psp.lookUp({ reference: randomUUID(), psp_ref: null })).toEqual({ kind: 'absent' });
  });

  test('what its buyer has to confirm is pending with a page, and authorized once that is done', async () => {
    const request = await created(ask('pm_3ds'));
    const outcome = await psp.authorize(request);
    expect(outcome).toMatchObject({ kind: 'pending', next_action: { type: 'redirect' } });
    if (approved_first) return;
    expect(await statusOf(request)).toBe('pending');
    await sandbox.admin('decide', { reference: request.reference, approve: true });
    expect(await statusOf(request)).toBe('authorized');
  });

  if (!approved_first) {
    test.each([
      ['pm_3ds', false],
      ['pm_3ds_declined', true],
    ])('%s: declined when its buyer, or the bank, says no', async (token, approve) => {
      const request = await created(ask(token));
      expect(await psp.authorize(request)).toMatchObject({ kind: 'pending' });
      await sandbox.admin('decide', { reference: request.reference, approve });
      const known = await look(request);
      expect(known).toMatchObject({ kind: 'found', payment: { status: 'declined' } });
      expect(known.kind === 'found' && known.payment.decline_code).toBe('authentication_failed');
    });
  }

  test('a sticky 500 is answered for ever, and says that it was answered: another key succeeds', async () => {
    const request = await created(ask('pm_ok'));
    await sandbox.admin('faults', { faults: [{ on: 'authorize', kind: 'sticky_before', times: 1 }] });
    expect(await psp.authorize(request)).toMatchObject({ kind: 'unknown', answered: true });
    expect(await statusOf(request)).toBe('absent');
    const idempotency_key = idempotencyKey(request.reference, 'authorize', 2);
    expect((await psp.authorize({ ...request, idempotency_key })).kind).toBe('approved');
  });

  test('an authorization that its provider let go reads voided, and a capture of it is refused', async () => {
    const { request, step } = await authorized();
    expect(await sandbox.admin('lapse', { reference: request.reference })).toEqual({ lapsed: 1 });
    const known = await statusOf(request);
    expect(['voided', 'declined', 'refunded']).toContain(known);
    const outcome = await psp.capture(step('capture'));
    expect(outcome.kind).toBe('declined');
    expect((await sandbox.testimony()).orders.get(request.order_id)?.captures).toBe(0);
  });

  test('captured although the answer was a 500: a look tells', async () => {
    const { request, step } = await authorized();
    await sandbox.admin('faults', { faults: [{ on: 'capture', kind: 'error_after', times: 1 }] });
    expect(await psp.capture(step('capture'))).toMatchObject({ kind: 'unknown', answered: true });
    expect(await statusOf(request)).toBe('captured');
    expect((await sandbox.testimony()).orders.get(request.order_id)?.captures).toBe(1);
  });

  if (foreign !== undefined) {
    test('a currency that it does not take is refused, and nothing is made', async () => {
      const request = { ...ask('pm_ok'), currency: foreign };
      expect(refuseTerms(psp, { currency: request.currency, capture: 'at_once' })?.code).toBe(
        'currency_not_supported',
      );
      const refused = psp.create ? await psp.create(request) : await psp.authorize(request);
      expect(refused).toEqual({ kind: 'declined', code: 'currency_not_supported' });
    });
  }

  test('its webhook verifies, tells of the payment, and is the same event however often it comes', async () => {
    await sandbox.admin('settings', { events: 'all' });
    const { request, step } = await authorized();
    await psp.capture(step('capture'));
    await vi.waitFor(async () => expect(await readAll()).toContain('captured'), 10_000);
    const ids = new Set<string>();
    const told: unknown[] = [];
    for (const { path, headers, raw } of received) {
      expect(path).toBe(`/${name}`);
      const verified = await psp.verifyWebhook(headers, raw, Date.now());
      if (verified.kind !== 'genuine') throw new Error(JSON.stringify(verified));
      const again = await psp.verifyWebhook(headers, raw, Date.now());
      expect(again).toMatchObject({ event_id: verified.event_id });
      ids.add(verified.event_id);
      told.push(psp.readEvent(verified.body));
    }
    expect(told).toContainEqual(
      expect.objectContaining({
        reference: request.reference,
        status: 'captured',
        captured: amount,
        currency,
      }),
    );
  });

  test('a forged, changed or truncated webhook is refused', async () => {
    await sandbox.admin('settings', { events: 'all' });
    await authorized();
    await vi.waitFor(() => expect(received.length).toBeGreaterThanOrEqual(1), 10_000);
    const { headers, raw } = received[0];
    const verdict = async (changed: Record<string, string | undefined>, body: Buffer) =>
      (await psp.verifyWebhook({ ...headers, ...changed }, body, Date.now())).kind;
    expect(await verdict({}, raw)).toBe('genuine');
    if (aged) {
      const at = async (now_ms: number) => (await psp.verifyWebhook(headers, raw, now_ms)).kind;
      expect(await at(Date.now() + 301_000)).toBe('refused');
      expect(await at(Date.now() - 302_000)).toBe('refused');
    }
    expect(await verdict({}, raw.subarray(0, raw.length - 1))).toBe('refused');
    expect(await verdict({}, Buffer.alloc(0))).toBe('refused');
    expect(await verdict({}, Buffer.from('null'))).toBe('refused');
    const forged = Buffer.from(
      raw
        .toString()
        .replaceAll(/"(?:gross_amount|value)":"\d/g, '$&9')
        .replaceAll(/"amount":\d/g, '$&9'),
    );
    expect(forged.equals(raw)).toBe(false);
    expect(await verdict({}, forged)).toBe('refused');
    for (const header of Object.keys(headers).filter((known) => /signature|transmission-sig/.test(known))) {
      expect(await verdict({ [header]: undefined }, raw)).toBe('refused');
      const signature = headers[header] ?? '';
      const other = signature.startsWith('0') ? '1' : '0';
      expect(await verdict({ [header]: `${other}${signature.slice(1)}` }, raw)).toBe('refused');
      expect(await verdict({ [header]: '' }, raw)).toBe('refused');
      expect(await verdict({ [header]: 'ü' }, raw)).toBe('refused');
    }
  });
});
