/** A sale that is rebuilt while an engine sells it: what buyers and operators see. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { saleKeys } from '../lua/keys.ts';
import { connect } from '../lua/testing/sale.ts';
import { newKey, startTestEngine, type TestEngine } from '../test/support/engine.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
});
afterAll(() => t.stop());

const rebuild = (method: 'GET' | 'POST', id: string) =>
  t.call(method, `/v1/admin/sales/${id}/rebuild`, { token: t.admin, ...(method === 'POST' && { body: {} }) });

const untilDone = (id: string) =>
  expect
    .poll(async () => (await rebuild('GET', id)).body.rebuild?.phase, { timeout: 30_000, interval: 50 })
    .toBe('done');

/** Buys until it is let in: a sale being rebuilt says so and nothing else. */
async function buyMeanwhile(id: string, token: string, key: string) {
  for (;;) {
    const answer = await t.buy(id, { token, key });
    if (answer.status === 201) return answer;
    expect([answer.status, answer.body.code]).toEqual([503, 'sale_recovering']);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  }
}

describe('an operator has a sale rebuilt', () => {
  test('202 with where to look; engines go on by themselves, and every key is answered as before', async () => {
    const id = await t.sale();
    expect((await rebuild('GET', id)).body).toEqual({ id, fenced_reason: null, rebuild: null });
    const bought = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const who = { token: t.buyer(), key: newKey() };
        return { ...who, answer: await t.buy(id, who) };
      }),
    );
    const asked = await rebuild('POST', id);
    expect(asked.status).toBe(202);
    expect(asked.headers.get('location')).toBe(`/v1/admin/sales/${id}/rebuild`);
    expect(asked.body.rebuild).toMatchObject({ reason: 'operator', actor: 'operator' });
    // Buyers come all the time, and each gets in once.
    const meanwhile = await Promise.all(
      Array.from({ length: 20 }, () => buyMeanwhile(id, t.buyer(), newKey())),
    );
    await untilDone(id);
    const last = await rebuild('GET', id);
    expect(last.body).toMatchObject({
      fenced_reason: null,
      rebuild: { phase: 'done', attempts: 1, generation: 2, error: null, drained: { lost: 0 } },
    });
    expect(last.body.rebuild.staged).toBe(last.body.rebuild.total);
    for (const { token, key, answer } of bought) {
      const again = await buyMeanwhile(id, token, key);
      expect(again.text).toBe(answer.text);
      expect(again.headers.get('idempotent-replayed')).toBe('true');
    }
    const ids = [...bought.map(({ answer }) => answer), ...meanwhile].map(({ body }) => body.order_id);
    expect(new Set(ids).size).toBe(40);
    await expect
      .poll(async () => (await t.call('GET', `/v1/admin/sales/${id}/audit`, { token: t.admin })).body)
      .toMatchObject({
        balanced: true,
        live: { kind: 'agrees' },
        items: [{ available: 60 }, { available: 100 }],
      });
  });

  test('only in their own shop, and only a sale that is there', async () => {
    const id = await t.sale();
    const other = t.buyer('ops', { tenant: 'other', role: 'admin' });
    for (const method of ['GET', 'POST'] as const) {
      const body = method === 'POST' ? { body: {} } : {};
      const path = `/v1/admin/sales/${id}/rebuild`;
      expect((await t.call(method, path, { token: other, ...body })).status).toBe(404);
      expect((await rebuild(method, 'none')).status).toBe(404);
    }
    expect((await rebuild('GET', id)).body.rebuild).toBeNull();
  });
});

describe('Redis loses a sale', () => {
  test('it comes back by itself; orders are found all the time or nobody says that they are not there', async () => {
    const redis = connect(t.redis_url);
    const id = await t.sale();
    const token = t.buyer();
    const { body } = await t.buy(id, { token });
    // What the ledger has not read is lost with the memory.
    await expect
      .poll(async () => (await t.call('GET', `/v1/orders/${body.order_id}`, { token })).body.source)
      .toBe('ledger');
    const keys = await redis.keys(
      `${saleKeys({ tenant: t.tenant, sale: id, generation: 0 }).record.slice(0, -6)}*`,
    );
    await redis.del(keys);
    const more = await buyMeanwhile(id, t.buyer(), newKey());
    expect(more.status).toBe(201);
    expect((await t.call('GET', `/v1/orders/${body.order_id}`, { token })).status).toBe(200);
    await untilDone(id);
    expect((await rebuild('GET', id)).body.rebuild).toMatchObject({
      reason: 'no_record',
      actor: 'reconciler',
    });
    redis.disconnect();
  });

  test('an order that only the reservation tells of is found where it has gone', async () => {
    const id = await t.sale();
    const token = t.buyer();
    const { body } = await t.buy(id, { token });
    await rebuild('POST', id);
    await untilDone(id);
    // This engine may have heard nothing of the new generation yet.
    expect((await t.call('GET', `/v1/orders/${body.order_id}`, { token })).status).toBe(200);
  });
});
