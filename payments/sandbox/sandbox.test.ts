import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createSandboxPsp } from '../adapters/sandbox.ts';
import { type AuthorizeRequest, idempotencyKey, type Psp } from '../port.ts';
import { SIGNATURE_HEADER } from '../signature.ts';
import { startTestSandbox, type TestSandbox } from './testing/start.ts';

let sandbox: TestSandbox;
let psp: Psp;
let hooks: Server;
let received: { headers: Record<string, string | undefined>; raw: Buffer }[] = [];
let hookStatus = 200;

beforeAll(async () => {
  hooks = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    received.push({ headers: request.headers as Record<string, string>, raw: Buffer.concat(chunks) });
    response.writeHead(hookStatus).end();
  });
  hooks.listen(0, '127.0.0.1');
  await once(hooks, 'listening');
  sandbox = await startTestSandbox({
    webhook_url: `http://127.0.0.1:${(hooks.address() as AddressInfo).port}/hook`,
  });
  psp = createSandboxPsp({ url: sandbox.url, secret: sandbox.secret, timeout_ms: 500 });
});

afterAll(async () => {
  psp.close();
  await sandbox.stop();
  hooks.close();
});

beforeEach(async () => {
  received = [];
  hookStatus = 200;
  await sandbox.admin('faults', { faults: [] });
  await sandbox.admin('settings', { slow_ms: 100, late_ms: 50, events: 'untold' });
});

function payment(token: string, expires_in_ms = 60_000): AuthorizeRequest {
  const reference = randomUUID();
  return {
    reference,
    psp_ref: null,
    order_id: `order_${reference}`,
    idempotency_key: idempotencyKey(reference, 'authorize'),
    amount: 1_250,
    currency: 'USD',
    payment_method: { type: 'card', token },
    expires_at: new Date(Date.now() + expires_in_ms),
    return_url: 'http://127.0.0.1/',
  };
}

async function authorized(token = 'pm_ok') {
  const request = payment(token);
  const outcome = await psp.authorize(request);
  if (outcome.kind !== 'approved') throw new Error(outcome.kind);
  const step = (name: 'capture' | 'void' | 'refund') => ({
    reference: request.reference,
    psp_ref: outcome.payment.psp_ref,
    idempotency_key: idempotencyKey(request.reference, name),
    amount: request.amount,
    currency: request.currency,
  });
  return { request, payment: outcome.payment, step };
}

const statusOf = async (reference: string) => {
  const found = await psp.lookUp({ reference, psp_ref: null });
  return found.kind === 'found' ? found.payment.status : found.kind;
};

test('pm_ok is authorized, captured and refunded with its amount and currency', async () => {
  const { payment, step } = await authorized();
  expect(payment).toMatchObject({ status: 'authorized', amount: 1_250, captured: 0, currency: 'USD' });
  expect(await psp.capture(step('capture'))).toMatchObject({
    kind: 'approved',
    payment: { status: 'captured', captured: 1_250 },
  });
  expect(await psp.refund(step('refund'))).toMatchObject({
    kind: 'approved',
    payment: { status: 'refunded', refunded: 1_250 },
  });
});

test.each([
  ['pm_declined', 'card_declined'],
  ['pm_insufficient_funds', 'insufficient_funds'],
  ['tok_whatever', 'invalid_token'],
  ['constructor', 'invalid_token'],
])('%s is declined with %s', async (token, code) => {
  expect(await psp.authorize(payment(token))).toMatchObject({ kind: 'declined', code });
});

test('pm_timeout succeeds and never answers, not even when asked again under the same key', async () => {
  const request = payment('pm_timeout');
  expect(await psp.authorize(request)).toEqual({ kind: 'unknown', reason: 'timeout' });
  expect(await psp.authorize(request)).toEqual({ kind: 'unknown', reason: 'timeout' });
  expect(await statusOf(request.reference)).toBe('authorized');
  expect((await sandbox.testimony()).orders.get(request.order_id)?.payments).toBe(1);
});

test('pm_error_once answers one 500 with nothing done, then succeeds under the same key', async () => {
  const request = payment('pm_error_once');
  expect(await psp.authorize(request)).toEqual({ kind: 'unknown', reason: 'http_500', answered: true });
  expect(await statusOf(request.reference)).toBe('absent');
  expect(await psp.authorize(request)).toMatchObject({ kind: 'approved' });
});

test('pm_slow takes its time; the same key meanwhile is not answered, and makes no second payment', async () => {
  const request = payment('pm_slow');
  const [first, second] = await Promise.all([psp.authorize(request), psp.authorize(request)]);
  expect([first.kind, second.kind].sort()).toEqual(['approved', 'unknown']);
  expect((await sandbox.testimony()).orders.get(request.order_id)?.payments).toBe(1);
});

test('pm_late is pending, succeeds after the deadline it was told, and says so by a signed webhook', async () => {
  const request = payment('pm_late', 100);
  expect(await psp.authorize(request)).toMatchObject({ kind: 'pending', next_action: { type: 'wait' } });
  expect(await psp.void({ ...request, psp_ref: null, idempotency_key: 'v' })).toMatchObject({
    kind: 'declined',
    code: 'processing',
  });
  await vi.waitFor(() => expect(received).toHaveLength(1), 5_000);
  const { headers, raw } = received[0];
  const verified = await psp.verifyWebhook(headers, raw, Date.now());
  expect(verified.kind).toBe('genuine');
  const body = verified.kind === 'genuine' ? verified.body : undefined;
  expect(psp.readEvent(body)).toMatchObject({
    reference: request.reference,
    status: 'authorized',
    amount: 1_250,
  });
});

test('a late payment succeeds at once when the operator releases it', async () => {
  const request = payment('pm_late');
  await psp.authorize(request);
  expect(await sandbox.admin('release', { reference: request.reference })).toEqual({ released: 1 });
  expect(await statusOf(request.reference)).toBe('authorized');
});

test('a key is answered with its first answer, and refused for another request', async () => {
  const { request, payment, step } = await authorized();
  await psp.capture(step('capture'));
  const again = await psp.authorize(request);
  expect(again).toEqual({ kind: 'approved', payment });
  expect(await psp.authorize({ ...request, amount: 1 })).toEqual({ kind: 'unknown', reason: 'http_422' });
});

test('a forgotten key makes a second payment, as it does at real providers', async () => {
  const { request } = await authorized();
  await sandbox.admin('forget-keys', {});
  await psp.authorize(request);
  expect((await sandbox.testimony()).orders.get(request.order_id)?.payments).toBe(2);
});

test('what the state does not allow is refused, with the payment as it stands', async () => {
  const { step } = await authorized();
  await psp.void(step('void'));
  expect(await psp.capture(step('capture'))).toMatchObject({
    kind: 'declined',
    code: 'invalid_state',
    payment: { status: 'voided' },
  });
});

test('a capture of another amount is refused', async () => {
  const { step } = await authorized();
  expect(await psp.capture({ ...step('capture'), amount: 1_249 })).toMatchObject({ code: 'amount_mismatch' });
});

test('a reference closed before its authorization arrives declines it', async () => {
  const request = payment('pm_ok');
  const closing = { reference: request.reference, psp_ref: null, idempotency_key: 'close', currency: 'USD' };
  expect(await psp.void(closing)).toMatchObject({ kind: 'approved', payment: { status: 'voided' } });
  expect(await psp.authorize(request)).toMatchObject({ kind: 'declined', code: 'reference_closed' });
});

test('kill -9 forgets nothing: payments, keys, undelivered webhooks, late successes', async () => {
  hookStatus = 500;
  const { request, payment: first, step } = await authorized();
  await psp.capture(step('capture'));
  const late = payment('pm_late', 700);
  await psp.authorize(late);
  const silent = payment('pm_timeout');
  await psp.authorize(silent);
  await sandbox.kill();
  received = [];
  hookStatus = 200;
  await sandbox.start();
  expect(await psp.authorize(request)).toEqual({ kind: 'approved', payment: first });
  expect(await statusOf(request.reference)).toBe('captured');
  await vi.waitFor(() => {
    const told = received.map(({ raw }) => JSON.parse(raw.toString()).payment.reference);
    expect(told).toContain(late.reference);
    expect(told).toContain(silent.reference);
  }, 10_000);
});

test('a webhook is sent again until it is taken', async () => {
  hookStatus = 503;
  await psp.authorize(payment('pm_timeout'));
  await vi.waitFor(() => expect(received.length).toBeGreaterThan(1), 5_000);
  hookStatus = 200;
  const ids = new Set(received.map(({ raw }) => JSON.parse(raw.toString()).id));
  expect(ids.size).toBe(1);
});

test('a forged, changed or old webhook is refused', async () => {
  await psp.authorize(payment('pm_timeout'));
  await vi.waitFor(() => expect(received).toHaveLength(1), 5_000);
  const { headers, raw } = received[0];
  const verdict = async (changed: Partial<typeof headers>, body = raw, now_ms = Date.now()) =>
    (await psp.verifyWebhook({ ...headers, ...changed }, body, now_ms)).kind;
  expect(await verdict({})).toBe('genuine');
  expect(await verdict({ [SIGNATURE_HEADER]: undefined })).toBe('refused');
  expect(await verdict({ [SIGNATURE_HEADER]: 'v1=1' })).toBe('refused');
  expect(await verdict({}, Buffer.concat([raw, Buffer.from(' ')]))).toBe('refused');
  expect(await verdict({}, raw, Date.now() + 301_000)).toBe('refused');
  expect(await verdict({}, raw, Date.now() - 302_000)).toBe('refused');
});

test('faults strike as asked: 500 after doing it, no answer, down', async () => {
  await sandbox.admin('faults', { faults: [{ on: 'authorize', kind: 'error_after', times: 1 }] });
  const request = payment('pm_ok');
  expect(await psp.authorize(request)).toEqual({ kind: 'unknown', reason: 'http_500', answered: true });
  expect(await statusOf(request.reference)).toBe('authorized');
  await sandbox.admin('faults', { faults: [{ on: '*', kind: 'unavailable' }] });
  expect(await psp.lookUp({ reference: request.reference, psp_ref: null })).toEqual({
    kind: 'unknown',
    reason: 'http_503',
  });
});

test('without the secret there is nothing to see', async () => {
  const stranger = createSandboxPsp({ url: sandbox.url, secret: 'guess' });
  expect(await stranger.authorize(payment('pm_ok'))).toEqual({ kind: 'unknown', reason: 'http_401' });
  stranger.close();
});
