import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { paymentOf, type SandboxRig, startSandboxRig } from './testing/rig.ts';

let rig: SandboxRig;
beforeAll(async () => {
  rig = await startSandboxRig();
});
afterAll(() => rig.close());
beforeEach(() => rig.reset());

const WAIT = { timeout: 15_000 };

async function pending(token: string, expires_in_ms?: number, type: 'card' | 'upi' | 'wallet' = 'card') {
  const request = { ...paymentOf(token, expires_in_ms), payment_method: { type, token } };
  const outcome = await rig.psp.authorize(request);
  if (outcome.kind !== 'pending' || !('url' in outcome.next_action)) throw new Error(JSON.stringify(outcome));
  // Its public address is that of a machine with a fixed port.
  const url = outcome.next_action.url.replace(/^http:\/\/localhost:\d+/, rig.sandbox.url);
  const look = async () => {
    const found = await rig.psp.lookUp({ reference: request.reference, psp_ref: null });
    if (found.kind !== 'found') throw new Error(found.kind);
    return found.payment;
  };
  return { request, outcome, url, look };
}

const decide = (url: string, decision: string) =>
  fetch(url, { method: 'POST', body: new URLSearchParams({ decision }), redirect: 'manual' });

describe('the page', () => {
  test('shows amount, merchant and order, and asks nothing of anybody else', async () => {
    const { request, url, look } = await pending('pm_3ds');
    const response = await fetch(url);
    const html = await response.text();
    expect(response.status).toBe(200);
    expect(html).toContain('12.50 USD');
    expect(html).toContain('Stampede');
    expect(html).toContain(request.order_id);
    expect(html).not.toMatch(/<script|<link|<img|src=|@import|url\(/);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(response.headers.get('content-security-policy')).toContain('http://127.0.0.1:3000');
    expect(response.headers.get('cache-control')).toBe('no-store');
    // To look at it decides nothing.
    expect((await look()).status).toBe('pending');
  });

  test.each([
    ['pm_3ds', 'approve', 'authorized', null],
    ['pm_3ds', 'decline', 'declined', 'authentication_failed'],
    ['pm_3ds_declined', 'approve', 'declined', 'authentication_failed'],
    ['pm_wallet', 'approve', 'authorized', null],
  ])('%s: %s leads back, and the payment is %s', async (token, decision, status, code) => {
    const { request, url, look } = await pending(token, undefined, token === 'pm_wallet' ? 'wallet' : 'card');
    const response = await decide(url, decision);
    expect([response.status, response.headers.get('location')]).toEqual([303, request.return_url]);
    expect(await look()).toMatchObject({ status, decline_code: code, next_action: null });
    await vi.waitFor(() => expect(rig.received.length).toBeGreaterThan(0), WAIT);
    // Deciding again changes nothing.
    expect((await decide(url, 'decline')).status).toBe(303);
    expect((await look()).status).toBe(status);
    expect(await (await fetch(url)).text()).toContain(status === 'declined' ? 'declined' : 'approved');
  });

  test('a payment called back can not be approved any more', async () => {
    const { request, url, look } = await pending('pm_3ds');
    const target = { ...request, psp_ref: (await look()).psp_ref, idempotency_key: 'void' };
    expect(await rig.psp.void(target)).toMatchObject({ kind: 'approved', payment: { status: 'voided' } });
    await decide(url, 'approve');
    expect((await look()).status).toBe('voided');
  });

  test('expires with the hold', async () => {
    const { url, look } = await pending('pm_3ds', 50);
    await vi.waitFor(async () => expect((await look()).status).toBe('declined'), WAIT);
    expect((await look()).decline_code).toBe('expired');
    await decide(url, 'approve');
    expect((await look()).status).toBe('declined');
    expect(await (await fetch(url)).text()).toContain('expired');
  });

  test.each([
    ['no such payment', (url: string) => fetch(url.replace(/pay_.*/, 'pay_nobody')), 404],
    ['a decision that is none', (url: string) => decide(url, 'perhaps'), 400],
    ['a method that is none', (url: string) => fetch(url, { method: 'DELETE' }), 405],
  ])('%s is refused', async (_what, ask, status) => {
    const { url, look } = await pending('pm_3ds');
    expect((await ask(url)).status).toBe(status);
    expect((await look()).status).toBe('pending');
  });

  test('a payment that nobody has to approve has none', async () => {
    const request = paymentOf('pm_ok');
    const outcome = await rig.psp.authorize(request);
    const id = outcome.kind === 'approved' ? outcome.payment.psp_ref : '';
    expect((await fetch(`${rig.sandbox.url}/pay/${id}`)).status).toBe(404);
  });

  test('what comes from outside stands in it as text; it leads to web pages alone', async () => {
    const request = {
      ...paymentOf('pm_3ds'),
      return_url: 'https://shop.example/?a="><script>alert(1)</script>',
    };
    const outcome = await rig.psp.authorize(request);
    const id = outcome.kind === 'pending' ? outcome.payment.psp_ref : '';
    await decide(`${rig.sandbox.url}/pay/${id}`, 'approve');
    expect(await (await fetch(`${rig.sandbox.url}/pay/${id}`)).text()).not.toContain('<script');
    const script = { ...paymentOf('pm_3ds'), return_url: 'javascript:alert(1)' };
    const other = await rig.psp.authorize(script);
    const other_id = other.kind === 'pending' ? other.payment.psp_ref : '';
    const response = await decide(`${rig.sandbox.url}/pay/${other_id}`, 'approve');
    expect([response.status, response.headers.get('location')]).toEqual([200, null]);
    expect(await response.text()).not.toContain('javascript:');
  });
});

describe('UPI', () => {
  test('a link for a UPI app, with amount and payee; the app approves by itself after a while', async () => {
    const { request, outcome, look } = await pending('pm_upi', undefined, 'upi');
    expect(outcome.next_action.type).toBe('upi');
    const link = new URL('url' in outcome.next_action ? outcome.next_action.url : '');
    expect([link.protocol, link.searchParams.get('am'), link.searchParams.get('cu')]).toEqual([
      'upi:',
      '12.50',
      'USD',
    ]);
    await vi.waitFor(async () => expect((await look()).status).toBe('authorized'), WAIT);
    const references = () => rig.received.map(({ raw }) => JSON.parse(raw.toString()).payment.reference);
    await vi.waitFor(() => expect(references()).toContain(request.reference), WAIT);
  });

  test('a hold that ends first is not paid', async () => {
    await rig.sandbox.admin('settings', { upi_ms: 600_000 });
    const { look } = await pending('pm_upi', 50, 'upi');
    await vi.waitFor(async () => expect((await look()).status).toBe('declined'), WAIT);
    expect((await look()).decline_code).toBe('expired');
  });

  test('what waits for its buyer is not what comes late: release leaves it', async () => {
    const { request, look } = await pending('pm_3ds');
    expect(await rig.sandbox.admin('release', { reference: request.reference })).toEqual({ released: 0 });
    expect((await look()).status).toBe('pending');
  });

  test('kill -9 does not forget who waits for what', async () => {
    const { url, look } = await pending('pm_3ds', 60_000);
    await rig.sandbox.kill();
    await rig.sandbox.start();
    expect((await look()).next_action).toMatchObject({ type: 'redirect' });
    await decide(url, 'approve');
    expect((await look()).status).toBe('authorized');
  });
});
