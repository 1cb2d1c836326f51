import { expect, test } from 'vitest';
import {
  ATTEMPT_EDGES,
  ATTEMPT_STATES,
  canAttemptTransition,
  LIVE_ATTEMPT_STATES,
} from './attempt-machine.ts';
import { effectiveGate } from './gate.ts';
import { canTransition, isFinal, ORDER_STATES, STOCK_OF_STATE } from './order-machine.ts';

test('an order ends in exactly the ends the vocabulary names', () => {
  expect(ORDER_STATES.filter(isFinal)).toEqual([
    'expired',
    'payment_failed',
    'canceled',
    'refunded',
    'rejected',
  ]);
});

test('units never go from released back to held or sold, nor from sold back to held', () => {
  const rank = { none: 3, reserved: 0, sold: 1, released: 2 } as const;
  for (const from of ORDER_STATES) {
    for (const to of ORDER_STATES) {
      if (canTransition(from, to))
        expect(rank[STOCK_OF_STATE[to]]).toBeGreaterThanOrEqual(rank[STOCK_OF_STATE[from]]);
    }
  }
});

test('an order is confirmed only once it was authorized', () => {
  expect(ORDER_STATES.filter((from) => canTransition(from, 'confirmed'))).toEqual(['authorized']);
});

test('money never moves backwards: what is captured can only be refunded', () => {
  expect(ATTEMPT_EDGES.captured).toEqual(['refunded']);
  for (const end of ['refunded', 'voided', 'declined'] as const) {
    expect(ATTEMPT_STATES.filter((to) => canAttemptTransition(end, to))).toEqual([]);
  }
  expect(LIVE_ATTEMPT_STATES).not.toContain('declined');
});

test('closing beats pausing beats the schedule', () => {
  const times = { opens_at_ms: 100, closes_at_ms: 200 };
  expect(effectiveGate({ gate: 'scheduled', ...times }, 99)).toBe('scheduled');
  expect(effectiveGate({ gate: 'scheduled', ...times }, 100)).toBe('open');
  expect(effectiveGate({ gate: 'open', ...times }, 99)).toBe('open');
  expect(effectiveGate({ gate: 'paused', ...times }, 150)).toBe('paused');
  expect(effectiveGate({ gate: 'paused', ...times }, 200)).toBe('closed');
  expect(effectiveGate({ gate: 'closed', ...times }, 0)).toBe('closed');
  expect(effectiveGate({ gate: 'open', opens_at_ms: 0, closes_at_ms: 0 }, 1e15)).toBe('open');
});
