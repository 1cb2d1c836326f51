import { describe, expect, it } from 'vitest';
import type { Answer } from './api.ts';
import type { Accepted, CheckoutBody } from './api-types.ts';
import { keepIn, newPurchase, type Purchase, type SettleOptions, settle } from './purchase.ts';

const body: CheckoutBody = {
  sale_id: 'demo',
  items: [{ sku: 'a', qty: 1 }],
  payment_method: { type: 'card', token: 'pm_ok' },
  shipping_address: { name: 'Ada', line1: '1', city: 'London', postal_code: 'SW1', country: 'GB' },
};
const accepted: Accepted = {
  order_id: 'o',
  sale_id: 'demo',
  items: [],
  amounts: { currency: 'USD', total: 1 },
  reservation: { expires_at: '', server_time: '' },
};
const refused = (status: number, code: string, retry_after_ms?: number): Answer<Accepted> => ({
  kind: 'refused',
  problem: { code, status },
  retry_after_ms,
});

/** A storage, and an engine that gives these answers one after another; the last one for ever. */
function counter(...answers: Answer<Accepted>[]) {
  const stored = new Map<string, string>();
  const keeper = keepIn({
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
    removeItem: (key: string) => void stored.delete(key),
  } as Storage);
  const keys: string[] = [];
  const waits_ms: number[] = [];
  const options: SettleOptions = {
    keeper,
    random: () => 0,
    sleep: async (ms) => void waits_ms.push(ms),
    async send(_, key) {
      // Kept before anything leaves.
      expect(keeper.read()?.key).toBe(key);
      keys.push(key);
      return answers[Math.min(keys.length, answers.length) - 1]!;
    },
  };
  return { keeper, keys, waits_ms, options };
}

describe('a press of Buy', () => {
  it('has a key that the API takes, another one each time', () => {
    const [one, two] = [newPurchase(body), newPurchase(body)];
    expect(one.key).toMatch(/^[A-Za-z0-9_-]{16,255}$/);
    expect(one.key).not.toBe(two.key);
  });

  it('is bought and forgotten at a 201', async () => {
    const { options, keeper } = counter({ kind: 'ok', body: accepted });
    expect(await settle(newPurchase(body), options)).toEqual({ kind: 'bought', accepted });
    expect(keeper.read()).toBeUndefined();
  });

  it.each([
    ['nothing', { kind: 'lost' } as const],
    ['503', refused(503, 'unavailable')],
    ['500', refused(500, 'internal_error')],
    ['429', refused(429, 'rate_limited')],
  ])('goes on under the same key when %s comes back', async (_, answer) => {
    const { options, keys } = counter(answer, answer, { kind: 'ok', body: accepted });
    const purchase = newPurchase(body);
    expect((await settle(purchase, options)).kind).toBe('bought');
    expect(keys).toEqual([purchase.key, purchase.key, purchase.key]);
  });

  it('waits as long as it is told to, and ever longer where it is not told', async () => {
    const { options, waits_ms } = counter(
      refused(429, 'rate_limited', 7_000),
      ...[1, 2, 3, 4, 5, 6, 7].map(() => ({ kind: 'lost' }) as const),
      { kind: 'ok', body: accepted },
    );
    await settle(newPurchase(body), options);
    expect(waits_ms).toEqual([7_000, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
  });

  it('ends at a refusal, which is final', async () => {
    const { options, keeper, keys } = counter(refused(409, 'sold_out'));
    expect(await settle(newPurchase(body), options)).toMatchObject({
      kind: 'refused',
      problem: { code: 'sold_out' },
    });
    expect(keeper.read()).toBeUndefined();
    expect(keys).toHaveLength(1);
  });

  it('ends at a pause that nobody would sit and wait for', async () => {
    const { options, keeper, keys } = counter(refused(429, 'rate_limited', 600_000));
    expect((await settle(newPurchase(body), options)).kind).toBe('refused');
    expect(keeper.read()).toBeUndefined();
    expect(keys).toHaveLength(1);
  });

  it('is still kept when the buyer stops waiting', async () => {
    const stop = new AbortController();
    const { options, keeper } = counter({ kind: 'lost' });
    const purchase: Purchase = newPurchase(body);
    const settled = await settle(purchase, {
      ...options,
      signal: stop.signal,
      onWaiting: () => stop.abort(),
    });
    expect(settled.kind).toBe('unsettled');
    expect(keeper.read()).toEqual(purchase);
  });

  it('does not ask for ever', async () => {
    const { options, keys } = counter({ kind: 'lost' });
    expect((await settle(newPurchase(body), options)).kind).toBe('unsettled');
    expect(keys).toHaveLength(30);
  });
});
