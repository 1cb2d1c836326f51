import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { sandboxKeys } from '../../platform/sandbox-keys.ts';
import { createStripePsp } from '../adapters/stripe.ts';
import { idempotencyKey, type Step } from '../port.ts';
import { createFaults, type Fault } from './faults.ts';
import { paymentOf, type SandboxRig, startSandboxRig } from './testing/rig.ts';

let rig: SandboxRig;
beforeAll(async () => {
  rig = await startSandboxRig();
});
afterAll(() => rig.close());
beforeEach(() => rig.reset());

const WAIT = { timeout: 15_000 };
const faults = (...list: Fault[]) => rig.sandbox.admin('faults', { faults: list });
const told = () => rig.received.map(({ raw }) => JSON.parse(raw.toString()).payment.reference as string);

async function statusOf(reference: string): Promise<string> {
  const found = await rig.psp.lookUp({ reference, psp_ref: null });
  return found.kind === 'found' ? found.payment.status : found.kind;
}

async function captured(amount = 1_250) {
  const request = { ...paymentOf('pm_ok'), amount };
  const outcome = await rig.psp.authorize(request);
  if (outcome.kind !== 'approved') throw new Error(outcome.kind);
  const step = (name: Step, of = amount, refund_id?: string, key_no = 1) => ({
    reference: request.reference,
    psp_ref: outcome.payment.psp_ref,
    idempotency_key: idempotencyKey(request.reference, name, key_no, refund_id),
    amount: of,
    currency: 'USD',
  });
  await rig.psp.capture(step('capture'));
  return { request, step };
}

const STICKY = { kind: 'unknown', reason: 'http_500', answered: true };

describe('a sticky 500', () => {
  test.each([
    ['sticky_before', 'absent'],
    ['sticky_after', 'authorized'],
  ] as const)('%s is answered for ever, and the payment is %s', async (kind, status) => {
    await faults({ on: 'authorize', kind, times: 1 });
    const request = paymentOf('pm_ok');
    for (let time = 0; time < 3; time++) expect(await rig.psp.authorize(request)).toEqual(STICKY);
    expect(await statusOf(request.reference)).toBe(status);
    const payments = (await rig.sandbox.testimony()).orders.get(request.order_id)?.payments ?? 0;
    expect(payments).toBe(status === 'absent' ? 0 : 1);
  });

  test.each([
    ['pm_error_sticky', 'absent'],
    ['pm_error_sticky_done', 'authorized'],
  ])('by the token %s', async (token, status) => {
    const request = paymentOf(token);
    for (let time = 0; time < 2; time++) expect(await rig.psp.authorize(request)).toEqual(STICKY);
    expect(await statusOf(request.reference)).toBe(status);
  });

  test('outlives a kill -9, and another key is free of it', async () => {
    await faults({ on: 'refund', kind: 'sticky_before', times: 1 });
    const { request, step } = await captured();
    expect(await rig.psp.refund(step('refund'))).toEqual(STICKY);
    await rig.sandbox.kill();
    await rig.sandbox.start();
    expect(await rig.psp.refund(step('refund'))).toEqual(STICKY);
    expect(await rig.psp.refund(step('refund', 1_250, undefined, 2))).toMatchObject({ kind: 'approved' });
    expect(await statusOf(request.reference)).toBe('refunded');
  });
});

describe('partial refunds', () => {
  test('add up, never to more than was captured; the witness tells whose wish each was', async () => {
    const { request, step } = await captured();
    const [first, second] = [randomUUID(), randomUUID()];
    expect(await rig.psp.refund(step('refund', 400, first))).toMatchObject({
      payment: { status: 'captured', refunded: 400 },
    });
    expect(await rig.psp.refund(step('refund', 400, first))).toMatchObject({ payment: { refunded: 400 } });
    expect(await rig.psp.refund(step('refund', 900, second))).toMatchObject({ code: 'amount_mismatch' });
    expect(await rig.psp.refund(step('refund', 850))).toMatchObject({ payment: { status: 'refunded' } });
    expect((await rig.sandbox.testimony()).orders.get(request.order_id)).toMatchObject({
      ...{ payments: 1, captures: 1, unreversed_captures: 0, captured: 1_250, refunded: 1_250 },
      refunded_by_operator: 400,
      refunds: [{ amount: 400 }, { amount: 850 }],
      open: 0,
    });
  });

  test('of nothing is refused', async () => {
    const { step } = await captured();
    expect(await rig.psp.refund(step('refund', 0, randomUUID()))).toMatchObject({ kind: 'declined' });
  });
});

describe('webhooks', () => {
  beforeEach(() => rig.sandbox.admin('settings', { events: 'all', time_scale: 0.002 }));

  test('lost: never sent, though its payment was made', async () => {
    await faults({ on: 'webhook', kind: 'lose', times: 1 });
    const [lost, sent] = [paymentOf('pm_ok'), paymentOf('pm_ok')];
    await rig.psp.authorize(lost);
    await rig.psp.authorize(sent);
    await vi.waitFor(() => expect(told()).toContain(sent.reference), WAIT);
    expect(told()).not.toContain(lost.reference);
    expect(await statusOf(lost.reference)).toBe('authorized');
  });

  test('doubled: the same event twice', async () => {
    await faults({ on: 'webhook', kind: 'double', times: 1 });
    await rig.psp.authorize(paymentOf('pm_ok'));
    await vi.waitFor(() => expect(rig.received).toHaveLength(2), WAIT);
    const ids = rig.received.map(({ raw }) => JSON.parse(raw.toString()).id);
    expect(new Set(ids).size).toBe(1);
  });

  test.each(['reorder', 'late'] as const)('%s: after one that came later', async (kind) => {
    await rig.sandbox.admin('settings', { time_scale: 1 });
    await faults({ on: 'webhook', kind, times: 1, delay_ms: 1_000 });
    const [first, second] = [paymentOf('pm_ok'), paymentOf('pm_ok')];
    await rig.psp.authorize(first);
    await rig.psp.authorize(second);
    await vi.waitFor(() => expect(told()).toHaveLength(2), WAIT);
    expect(told()).toEqual([second.reference, first.reference]);
  });

  test('one that is to come after the next comes at last, also where there is no next; late by minutes is scaled', async () => {
    await faults({ on: 'webhook', kind: 'reorder', times: 1 });
    await rig.psp.authorize(paymentOf('pm_ok'));
    await vi.waitFor(() => expect(rig.received).toHaveLength(1), WAIT);
    await faults({ on: 'webhook', kind: 'late', times: 1 });
    await rig.psp.authorize(paymentOf('pm_ok'));
    await vi.waitFor(() => expect(rig.received).toHaveLength(2), WAIT);
  });

  test("a provider's go in its own format beside those of the sandbox", async () => {
    const { stripe } = sandboxKeys(rig.sandbox.secret);
    const psp = createStripePsp({ url: `${rig.sandbox.url}/stripe`, ...stripe, timeout_ms: 2_000 });
    const request = paymentOf('pm_ok');
    const made = await psp.create?.({
      ...request,
      idempotency_key: idempotencyKey(request.reference, 'create'),
    });
    await psp.authorize({ ...request, psp_ref: made?.kind === 'created' ? made.psp_ref : null });
    await vi.waitFor(() => expect(rig.received).toHaveLength(2), WAIT);
    psp.close();
    for (const { path, headers } of rig.received) {
      expect(path).toBe('/hooks/stripe');
      expect(headers).toHaveProperty('stripe-signature');
    }
  });
});

describe('faults', () => {
  test('strike one provider alone where they name it, and wires do not see each other', async () => {
    const { stripe } = sandboxKeys(rig.sandbox.secret);
    const psp = createStripePsp({ url: `${rig.sandbox.url}/stripe`, ...stripe, timeout_ms: 2_000 });
    await faults({ on: '*', kind: 'unavailable', provider: 'stripe' });
    const request = paymentOf('pm_ok');
    expect(await psp.create?.(request)).toEqual({ kind: 'unknown', reason: 'http_503' });
    expect(await rig.psp.authorize(request)).toMatchObject({ kind: 'approved' });
    await faults();
    // The same reference and the same key: another provider, another payment.
    expect(await psp.create?.(request)).toMatchObject({ kind: 'created' });
    psp.close();
  });

  test('declined, delayed, 500 before and after, no answer, down: each says what it did', async () => {
    const outcomes: unknown[] = [];
    for (const kind of ['decline', 'delay', 'error_before', 'error_after', 'unavailable'] as const) {
      await faults({ on: 'authorize', kind, times: 1, delay_ms: 20 });
      const request = paymentOf('pm_ok');
      const outcome = await rig.psp.authorize(request);
      outcomes.push([kind, outcome.kind, await statusOf(request.reference)]);
    }
    expect(outcomes).toEqual([
      ['decline', 'declined', 'declined'],
      ['delay', 'approved', 'authorized'],
      ['error_before', 'unknown', 'absent'],
      ['error_after', 'unknown', 'authorized'],
      ['unavailable', 'unknown', 'absent'],
    ]);
  });

  test('what is no fault is refused', async () => {
    await expect(faults({ on: 'authorize', kind: 'explode' } as never)).rejects.toThrow('invalid_fault');
    await expect(rig.sandbox.admin('faults', { faults: 'all' })).rejects.toThrow('invalid_faults');
  });

  test('the same seed draws the same faults', () => {
    const drawn = (seed: number) => {
      const drawing = createFaults();
      drawing.set([{ on: '*', kind: 'error_after', rate: 0.3 }], seed);
      return Array.from({ length: 200 }, () => drawing.strike('capture', 'sandbox').length).join('');
    };
    expect(drawn(7)).toBe(drawn(7));
    expect(drawn(7)).not.toBe(drawn(8));
    expect(drawn(7).split('1').length - 1).toBeGreaterThan(30);
  });
});
