import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answered, newKey, startTestEngine, type TestEngine } from '../test/support/engine.ts';

let t: TestEngine;
let sale_id: string;
beforeAll(async () => {
  t = await startTestEngine({ psp: true });
  sale_id = await t.sale();
});
afterAll(() => t.stop());

const card = (token = 'pm_ok') => ({ type: 'card', token });
const order = (token: string, order_id: string) => t.call('GET', `/v1/orders/${order_id}`, { token });
const lock = async (token: string, sale = sale_id) =>
  (
    await t.call('POST', '/v1/inventory/lock', {
      token,
      key: newKey(),
      body: { sale_id: sale, items: [{ sku: 'a', qty: 1 }] },
    })
  ).body.order_id as string;
const pay = (token: string, order_id: string, pm = 'pm_ok', key = newKey()) =>
  t.call('POST', '/v1/payment/initiate', { token, key, body: { order_id, payment_method: card(pm) } });
const confirm = (token: string, order_id: string) =>
  t.call('POST', '/v1/checkout/confirm', { token, body: { order_id } });
const cancel = (token: string, order_id: string) =>
  t.call('POST', `/v1/orders/${order_id}/cancel`, { token });

const becomes = (token: string, order_id: string, state: string) =>
  expect.poll(async () => (await order(token, order_id)).body.state, { timeout: 15_000 }).toBe(state);

const refusal = ({ status, body }: Answered) => [status, body.code];

describe('the main road', () => {
  it('is right from the first look, and reaches confirmed by itself', async () => {
    const token = t.buyer();
    const bought = await t.buy(sale_id, { token });
    const { order_id, items, amounts, reservation } = bought.body;
    const early = await order(token, order_id);
    expect(early.body).toMatchObject({ order_id, sale_id, items, amounts });
    expect(early.body.reservation.expires_at).toBe(reservation.expires_at);
    await becomes(token, order_id, 'confirmed');
    await expect.poll(async () => (await order(token, order_id)).body.payments[0].state).toBe('captured');
    const { body } = await order(token, order_id);
    expect(body.source).toBe('ledger');
    expect(body.history.map(({ to, cause }: { to: string; cause: string }) => [to, cause])).toEqual([
      ['reserved', 'checkout'],
      ['authorized', 'payment_authorized'],
      ['confirmed', 'checkout'],
      ['confirmed', 'payment_captured'],
    ]);
    expect(body.history[3].detail).toEqual({ amount: 1000, currency: 'USD' });
    expect(body.payments).toMatchObject([
      {
        no: 1,
        amount: 1000,
        captured: 1000,
        refunded: 0,
        currency: 'USD',
        decline_code: null,
        next_action: null,
      },
    ]);
    expect(body).toMatchObject({ refunded: 0, shipment: null, contact: null });
  });

  it('a card that is declined: payment_failed, and the stock comes back', async () => {
    const token = t.buyer();
    const { order_id } = (await t.buy(sale_id, { token, payment_token: 'pm_declined' })).body;
    await becomes(token, order_id, 'payment_failed');
    expect((await order(token, order_id)).body.payments[0].state).toBe('declined');
    expect(refusal(await cancel(token, order_id))).toEqual([409, 'invalid_state']);
  });

  it('canceled after confirmation: money and stock go back, and again is the same', async () => {
    const token = t.buyer();
    const { order_id } = (await t.buy(sale_id, { token })).body;
    await becomes(token, order_id, 'confirmed');
    const canceled = await cancel(token, order_id);
    expect([canceled.status, canceled.body.state]).toEqual([200, 'canceled']);
    expect((await cancel(token, order_id)).body.state).toBe('canceled');
    await expect
      .poll(async () => (await order(token, order_id)).body.payments[0].state, { timeout: 15_000 })
      .toMatch(/voided|refunded/);
    const late = await confirm(token, order_id);
    expect([...refusal(late), late.body.state]).toEqual([409, 'invalid_state', 'canceled']);
  });
});

describe('where the buyer is told', () => {
  const told = async (token: string, contact?: object) => {
    const { order_id } = (await t.buy(sale_id, { token, contact })).body;
    await expect.poll(async () => (await order(token, order_id)).body.source).toBe('ledger');
    return (await order(token, order_id)).body.contact;
  };

  it('the request says it, else the token, and a claim that is no address is passed over', async () => {
    const contact = { email: 'ada@example.com', phone: '+442071838750' };
    const claims = { email: 'claim@example.com', phone_number: '+6281234567890' };
    expect(await told(t.buyer(), contact)).toEqual(contact);
    expect(await told(t.buyer(undefined, claims))).toEqual({
      email: claims.email,
      phone: claims.phone_number,
    });
    expect(await told(t.buyer(undefined, claims), contact)).toEqual(contact);
    expect(await told(t.buyer(undefined, { email: 'a@b\r\nBcc: c@example.com' }))).toBeNull();
  });

  it('is no part of what makes two requests the same: a token with another address still replays', async () => {
    const key = newKey();
    const first = await t.buy(sale_id, { token: t.buyer('eve', { email: 'old@example.com' }), key });
    const again = await t.buy(sale_id, { token: t.buyer('eve', { email: 'new@example.com' }), key });
    expect([again.status, again.body]).toEqual([201, first.body]);
  });
});

describe('the stepwise road', () => {
  it('lock, pay, confirm; each again is the same', async () => {
    const token = t.buyer();
    const order_id = await lock(token);
    const early = await confirm(token, order_id);
    expect([...refusal(early), early.body.state]).toEqual([409, 'invalid_state', 'reserved']);
    const key = newKey();
    const paid = await pay(token, order_id, 'pm_ok', key);
    expect([paid.status, paid.body.state, paid.body.payment.state]).toEqual([
      200,
      'authorized',
      'authorized',
    ]);
    const again = await pay(token, order_id, 'pm_ok', key);
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([200, 'true']);
    expect(refusal(await pay(token, order_id, 'pm_slow', key))).toEqual([422, 'idempotency_key_reused']);
    const confirmed = await confirm(token, order_id);
    expect([confirmed.status, confirmed.body.state]).toEqual([200, 'confirmed']);
    expect((await confirm(token, order_id)).body.state).toBe('confirmed');
    expect(refusal(await pay(token, order_id))).toEqual([409, 'invalid_state']);
    expect((await order(token, order_id)).body.payments).toHaveLength(1);
  });

  it('a decline leaves the order reserved; another card pays; the key of the decline stays a decline', async () => {
    const token = t.buyer();
    const order_id = await lock(token);
    const key = newKey();
    const declined = await pay(token, order_id, 'pm_declined', key);
    expect([declined.status, declined.body.state, declined.body.payment.state]).toEqual([
      200,
      'reserved',
      'declined',
    ]);
    expect((await pay(token, order_id, 'pm_declined', key)).body.payment).toEqual(declined.body.payment);
    expect((await pay(token, order_id)).body.payment).toMatchObject({ no: 2, state: 'authorized' });
    expect((await confirm(token, order_id)).body.state).toBe('confirmed');
  });

  it('confirm before the money is there says what is missing: nothing started, the buyer’s move, another card', async () => {
    const token = t.buyer();
    const order_id = await lock(token);
    const early = await confirm(token, order_id);
    expect([...refusal(early), early.body.state, early.body.payment]).toEqual([
      ...[409, 'invalid_state', 'reserved', undefined],
    ]);
    const declined = await pay(token, order_id, 'pm_declined');
    const after = await confirm(token, order_id);
    expect([...refusal(after), after.body.payment]).toEqual([409, 'invalid_state', declined.body.payment]);
    expect(after.body.payment).toMatchObject({ no: 1, state: 'declined', decline_code: 'card_declined' });

    const challenged = await pay(token, order_id, 'pm_3ds');
    expect([challenged.status, challenged.body.payment]).toEqual([
      202,
      expect.objectContaining({
        no: 2,
        state: 'pending',
        next_action: { type: 'redirect', url: expect.any(String) },
      }),
    ]);
    const waiting = await confirm(token, order_id);
    expect([...refusal(waiting), waiting.body.payment]).toEqual([
      ...[409, 'invalid_state', challenged.body.payment],
    ]);
    expect(waiting.body.detail).toContain('next_action');
    expect((await order(token, order_id)).body.state).toBe('reserved');
  });

  it('a method that the sale’s provider does not take, or cannot hold until shipment: 400, and no try is used up', async () => {
    const token = t.buyer();
    const by = async (type: string, change: object) => {
      const order_id = await lock(token, await t.sale(change));
      const body = { order_id, payment_method: { type, token: 'pm_ok' } };
      const answer = await t.call('POST', '/v1/payment/initiate', { token, key: newKey(), body });
      return [...refusal(answer), answer.body.errors, (await order(token, order_id)).body.payments];
    };
    const refused = (message: RegExp) => [
      ...[400, 'invalid_request'],
      [{ path: '/payment_method/type', message: expect.stringMatching(message) }],
      [],
    ];
    expect(await by('upi', { psp: 'stripe' })).toEqual(refused(/^stripe takes card, wallet, not upi$/));
    const held = { psp: 'midtrans', currency: 'IDR', capture: 'on_shipment' };
    expect(await by('wallet', held)).toEqual(refused(/until shipment it can be held for card$/));
  });

  it('a hold that is over: 410 for everything but looking', async () => {
    const brief = await t.sale({ hold_seconds: 1 });
    const token = t.buyer();
    const order_id = await lock(token, brief);
    await becomes(token, order_id, 'expired');
    for (const late of [
      await pay(token, order_id),
      await confirm(token, order_id),
      await cancel(token, order_id),
    ]) {
      expect(refusal(late)).toEqual([410, 'reservation_expired']);
    }
  });
});

describe('somebody else', () => {
  it('gets the same 404 on every route, whoever it is and whatever they name', async () => {
    const token = t.buyer('ada');
    const order_id = await lock(token);
    const unknown = order_id.slice(0, -4) + (order_id.endsWith('AAAA') ? 'BBBB' : 'AAAA');
    const strangers = [t.buyer('bob'), t.buyer('ada', { tenant: `${t.tenant}-2` }), t.admin];
    const bodies = new Set<string>();
    for (const [who, id] of [...strangers.map((who) => [who, order_id]), [token, unknown], [token, 'nope']]) {
      for (const answer of [
        await order(who, id),
        await pay(who, id),
        await confirm(who, id),
        await cancel(who, id),
      ]) {
        const { request_id: _, ...body } = answer.body;
        bodies.add(JSON.stringify([answer.status, body]));
      }
    }
    expect([...bodies]).toHaveLength(1);
    expect([...bodies][0]).toContain('"not_found"');
    expect((await order(token, order_id)).body.state).toBe('reserved');
  });

  it('operators’ routes: buyers and merchants 403, without a token 401, of another tenant 404', async () => {
    const paths = ['open', 'pause', 'resume', 'close', 'topup', 'reduce'].map(
      (action) => `/v1/admin/sales/${sale_id}/${action}`,
    );
    const body = { items: [{ sku: 'a', qty: 1 }] };
    const request = (path: string, token?: string) =>
      path.endsWith('audit')
        ? t.call('GET', path, { token })
        : t.call('POST', path, { token, key: newKey(), ...(/topup|reduce/.test(path) && { body }) });
    for (const path of [...paths, `/v1/admin/sales/${sale_id}/audit`]) {
      for (const token of [t.buyer(), t.buyer('m', { role: 'merchant' })]) {
        expect(refusal(await request(path, token))).toEqual([403, 'forbidden']);
      }
      expect(refusal(await request(path))).toEqual([401, 'unauthorized']);
      const elsewhere = t.buyer('op', { role: 'admin', tenant: `${t.tenant}-2` });
      expect(refusal(await request(path, elsewhere))).toEqual([404, 'not_found']);
    }
    expect(refusal(await t.call('POST', '/v1/admin/sales', { token: t.buyer(), body: {} }))).toEqual([
      403,
      'forbidden',
    ]);
  });
});

describe('webhooks', () => {
  it('unsigned or of nobody: refused, and nothing is written', async () => {
    const events = async () => (await t.db.query('SELECT count(*)::int AS n FROM psp_events')).rows[0].n;
    const before = await events();
    const raw = '{"id":"evt_1"}';
    expect(refusal(await t.call('POST', '/v1/webhooks/sandbox', { raw }))).toEqual([401, 'unauthorized']);
    const headers = { 'sandbox-signature': `t=${Math.floor(Date.now() / 1000)},v1=${'0'.repeat(64)}` };
    expect(refusal(await t.call('POST', '/v1/webhooks/sandbox', { raw, headers }))).toEqual([
      401,
      'unauthorized',
    ]);
    expect(refusal(await t.call('POST', '/v1/webhooks/nobody', { raw }))).toEqual([404, 'not_found']);
    expect(await events()).toBe(before);
  });
});
