import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../../test/support/engine.ts';
import { type LiveClient, watchLive } from '../testing/live-client.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
});
afterAll(() => t.stop());

const watch = (sale_id: string, token: string) =>
  watchLive(t.port, `/v1/sales/${sale_id}/live`, [`Authorization: Bearer ${token}`]);

/** What a page knows after all messages. */
function known(client: LiveClient): { state?: string; stock: Record<string, number> } {
  const seen: { state?: string; stock: Record<string, number> } = { stock: {} };
  for (const message of client.messages.map((text) => JSON.parse(text))) {
    seen.state = message.state;
    for (const { sku, available } of message.items) seen.stock[sku] = available;
  }
  return seen;
}

describe('WS /v1/sales/{id}/live', () => {
  it('tells everything first, then what changes, at most ten times a second', async () => {
    const sale_id = await t.sale();
    const first = await watch(sale_id, t.buyer());
    await expect.poll(() => known(first)).toEqual({ state: 'open', stock: { a: 100, b: 100 } });
    const started_ms = performance.now();
    for (let i = 0; i < 40; i++) expect((await t.buy(sale_id)).status).toBe(201);
    await expect.poll(() => known(first).stock).toEqual({ a: 60, b: 100 });
    const seconds = (performance.now() - started_ms) / 1000;
    expect(first.messages.length).toBeLessThanOrEqual(2 + Math.ceil(seconds * 10));
    const [, second] = first.messages;
    expect(JSON.parse(second).items.map((item: { sku: string }) => item.sku)).toEqual(['a']);

    const late = await watch(sale_id, t.buyer());
    await expect.poll(() => known(late).stock).toEqual({ a: 60, b: 100 });
    await t.call('POST', `/v1/admin/sales/${sale_id}/pause`, { token: t.admin });
    await expect.poll(() => [known(first).state, known(late).state]).toEqual(['paused', 'paused']);
    expect((await t.call('GET', '/metrics')).text).toMatch(/^stampede_live_watchers 2$/m);
    first.end();
    late.end();
    await expect
      .poll(async () => (await t.call('GET', '/metrics')).text)
      .toMatch(/^stampede_live_watchers 0$/m);
  });

  it('an unknown sale, another tenant’s, a forged token, no upgrade', async () => {
    const sale_id = await t.sale();
    await expect(watch('nope', t.buyer())).rejects.toThrow('404');
    await expect(watch(sale_id, t.buyer('x', { tenant: 'other' }))).rejects.toThrow('404');
    await expect(watchLive(t.port, `/v1/sales/${sale_id}/live`)).rejects.toThrow('404');
    await expect(watch(sale_id, 'a.b.c')).rejects.toThrow('401');
    const plain = await t.call('GET', `/v1/sales/${sale_id}/live`, { token: t.buyer() });
    expect([plain.status, plain.body.code, plain.body.detail]).toEqual([
      400,
      'invalid_request',
      'Connect with a WebSocket.',
    ]);
  });
});
