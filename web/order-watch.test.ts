import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Answer } from './api.ts';
import type { Order, OrderState, Payment } from './api-types.ts';
import { watchOrder } from './order-watch.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const told = (state: OrderState, payments: Payment[] = []): Answer<Order> => ({
  kind: 'ok',
  body: { order_id: 'o', sale_id: 's', state, items: [], amounts: { currency: 'USD', total: 1 }, payments },
});

/** An engine that gives this answer until told otherwise; when it was asked, ms from the start. */
function engine(first: Answer<Order>) {
  const asked_ms: number[] = [];
  const began = Date.now();
  const seen = { answer: first, hidden: false, asked_ms };
  const problems: string[] = [];
  const watch = watchOrder({
    ask: async () => {
      asked_ms.push(Date.now() - began);
      return seen.answer;
    },
    onOrder: () => {},
    onRefused: ({ code }) => void problems.push(code),
    hidden: () => seen.hidden,
    random: () => 0.5,
  });
  return { seen, watch, problems, asked: () => asked_ms.length };
}

describe('watching an order', () => {
  it('asks ever more seldom while nothing changes, and quickly again when something did', async () => {
    const { seen, asked } = engine(told('reserved'));
    await vi.advanceTimersByTimeAsync(5_000);
    const quick = asked();
    expect(quick).toBeGreaterThan(5);
    await vi.advanceTimersByTimeAsync(300_000);
    const before = asked();
    expect((before - quick) / 300).toBeLessThan(0.4);
    seen.answer = told('confirmed');
    await vi.advanceTimersByTimeAsync(4_500);
    seen.asked_ms.length = 0;
    await vi.advanceTimersByTimeAsync(8_000);
    expect(asked()).toBeGreaterThanOrEqual(2);
    await vi.advanceTimersByTimeAsync(600_000);
    const then = asked();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(asked() - then).toBe(10);
  });

  it('stops once order and money are where they stay', async () => {
    const { seen, asked } = engine(told('canceled', [{ state: 'captured', reversal_wanted: true }]));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked()).toBeGreaterThan(3);
    seen.answer = told('canceled', [{ state: 'refunded', reversal_wanted: true }]);
    await vi.advanceTimersByTimeAsync(30_000);
    const last = asked();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(asked()).toBe(last);
  });

  it('does not ask in the background, and at once when it is called to look', async () => {
    const { seen, watch, asked } = engine(told('reserved'));
    await vi.advanceTimersByTimeAsync(0);
    seen.hidden = true;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked()).toBe(1);
    seen.hidden = false;
    watch.look();
    await vi.advanceTimersByTimeAsync(0);
    expect(asked()).toBe(2);
  });

  it('goes on while nobody answers, and waits as long as it is told to', async () => {
    const { seen, asked } = engine({ kind: 'lost' });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked()).toBeGreaterThanOrEqual(3);
    seen.answer = { kind: 'refused', problem: { code: 'unavailable', status: 503 }, retry_after_ms: 100_000 };
    await vi.advanceTimersByTimeAsync(20_000);
    const last = asked();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked()).toBe(last);
  });

  it('ends where the order is not this buyer’s', async () => {
    const { problems, asked } = engine({
      ...{ kind: 'refused', retry_after_ms: undefined },
      problem: { code: 'not_found', status: 404 },
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect([problems, asked()]).toEqual([['not_found'], 1]);
  });
});
