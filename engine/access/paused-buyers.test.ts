import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { buyerHash } from '../../domain/ids.ts';
import { EXPIRED_HOLDS_MAX, EXPIRED_HOLDS_PAUSE_MS } from '../../domain/limits.ts';
import type { PausedBuyer } from '../../ledger/orders/paused-buyers.ts';
import { newKey, startTestEngine, type TestEngine } from '../../test/support/engine.ts';
import { createPausedBuyers } from './paused-buyers.ts';

describe('who has to pause', () => {
  const salt = Buffer.alloc(32, 7);
  const entry = (buyer: string, left_ms: number): PausedBuyer => ({
    buyer_hash: buyerHash(salt, buyer),
    left_ms,
  });

  it('is known from the ledger, also while that is away, until the time is over', async () => {
    let now_ms = 1_000;
    let read = () => Promise.resolve([entry('ada', 500)]);
    const failed = vi.fn();
    const paused = createPausedBuyers({ read: () => read(), failed, now_ms: () => now_ms });
    expect(paused.leftMs(salt, 'ada')).toBe(0);
    await paused.refresh();
    expect([paused.leftMs(salt, 'ada'), paused.leftMs(salt, 'bob')]).toEqual([500, 0]);
    expect(paused.leftMs(Buffer.alloc(32, 8), 'ada')).toBe(0);
    read = () => Promise.reject(new Error('away'));
    now_ms += 100;
    await paused.refresh();
    expect([paused.leftMs(salt, 'ada'), failed.mock.calls.length]).toEqual([400, 1]);
    now_ms += 400;
    expect(paused.leftMs(salt, 'ada')).toBe(0);
    paused.stop();
  });
});

describe('a buyer whose holds run out unpaid', () => {
  let t: TestEngine;
  beforeAll(async () => {
    t = await startTestEngine();
  });
  afterAll(() => t.stop());

  const lock = (token: string, sale_id: string, key = newKey()) =>
    t.call('POST', '/v1/inventory/lock', { token, key, body: { sale_id, items: [{ sku: 'a', qty: 1 }] } });
  const state = async (token: string, order_id: string) =>
    (await t.call('GET', `/v1/orders/${order_id}`, { token })).body.state;

  it(`pauses after ${EXPIRED_HOLDS_MAX}: 429 with Retry-After; what was told is told again; nobody else waits`, async () => {
    const sale_id = await t.sale({ hold_seconds: 1 });
    const token = t.buyer();
    const keys = Array.from({ length: EXPIRED_HOLDS_MAX }, () => newKey());
    const first = [];
    for (const key of keys) first.push(await lock(token, sale_id, key));
    expect(first.map(({ status }) => status)).toEqual(keys.map(() => 201));
    for (const { body } of first) {
      await expect.poll(() => state(token, body.order_id), { timeout: 15_000 }).toBe('expired');
    }
    await expect
      .poll(async () => (await lock(token, sale_id)).status, { timeout: 20_000, interval: 250 })
      .toBe(429);

    const refused = await lock(token, sale_id);
    const retry_s = Number(refused.headers.get('retry-after'));
    expect([refused.body.code, retry_s > 0, retry_s * 1000 <= EXPIRED_HOLDS_PAUSE_MS]).toEqual([
      'rate_limited',
      true,
      true,
    ]);
    expect((await t.buy(sale_id, { token })).status).toBe(429);
    const again = await lock(token, sale_id, keys[0]);
    expect([again.status, again.text, again.headers.get('idempotent-replayed')]).toEqual([
      201,
      first[0].text,
      'true',
    ]);
    expect((await lock(t.buyer(), sale_id)).status).toBe(201);
    expect((await lock(token, await t.sale())).status).toBe(201);
    expect((await t.call('GET', '/metrics')).text).toMatch(
      /^stampede_rate_limited_total\{limit="holds"\} [1-9]/m,
    );
  });
});
