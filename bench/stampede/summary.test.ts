import { expect, test } from 'vitest';
import { brokenInvariants, percentile, summaryText } from './summary.ts';

const good = {
  ...{ target: 'http://localhost:3000', sale_id: 's', buyers: 1_000, units: 10, skus: 1, connections: 30 },
  ...{ accepted: 10, sold_out: 990, other: {}, unanswered: 0, resent: 0, replayed: 10, confirmed: 10 },
  ...{
    not_confirmed: {},
    oversold: 0,
    balanced: true,
    latency_ms_p50: 1,
    latency_ms_p99: 9,
    answers_per_second: 1,
  },
};

test('a run in which everything holds breaks nothing', () => {
  expect(brokenInvariants(good)).toEqual([]);
  expect(
    brokenInvariants({
      ...good,
      units: 5_000,
      accepted: 1_000,
      sold_out: 0,
      replayed: 1_000,
      confirmed: 1_000,
    }),
  ).toEqual([]);
});

test.each([
  [{ accepted: 11, sold_out: 989, replayed: 11, confirmed: 11, oversold: 1 }, /oversold: 1/],
  [{ accepted: 9, sold_out: 991, replayed: 9, confirmed: 9 }, /9 accepted, 10 expected/],
  [{ unanswered: 3, sold_out: 987 }, /3 buyers without/],
  [{ sold_out: 988, other: { invalid_request: 2 } }, /2 invalid_request/],
  [{ replayed: 8 }, /8 of 10 winners/],
  [{ confirmed: 7, not_confirmed: { reserved: 3 } }, /7 of 10 confirmed \(3 reserved\)/],
  [{ balanced: false }, /not balanced/],
])('%j is a broken invariant', (change, text) => {
  const broken = brokenInvariants({ ...good, ...change });
  expect(broken.join('\n')).toMatch(text);
  expect(summaryText({ ...good, ...change, broken }, false)).toMatch(/BROKEN/);
});

test('a percentile is a value that was seen', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(percentile(values, 0.5)).toBe(50);
  expect(percentile(values, 0.99)).toBe(99);
  expect(percentile([7], 0.5)).toBe(7);
  expect(percentile([], 0.5)).toBe(0);
});
