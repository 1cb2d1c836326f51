import { expect, test } from 'vitest';
import type { Measurement } from './measure.ts';
import { lineOf, resultOf } from './result.ts';

const SCENARIO = { name: 'some', what: 'Something.', a: 'ours', b: 'theirs', bar: { at_least: 0.5 } };

type Compares = Parameters<typeof resultOf>[0];

const run = (of: Partial<Measurement>): Measurement => ({
  ...{ requests: 100, seconds: 1, requests_per_s: 100, not_2xx: 0, failed: 0 },
  ...{ p50_ms: 1, p90_ms: 1, p99_ms: 1, p999_ms: 1, max_ms: 1, client_idle: 0.5, cpu_us: { engine: 10 } },
  ...of,
});

const ABOUT_LATENCY = { ...SCENARIO, metric: 'p99_ms', bar: { at_most: 5 } } as const;

function verdict(a: Partial<Measurement>, b: Partial<Measurement>, of: Compares = SCENARIO) {
  const pair = { a: run(a), b: run(b), echo: [1, 1] as const };
  const { metric = 'requests_per_s' } = of;
  const ratio = pair.a[metric] / pair.b[metric];
  const compared = { pairs: [pair], ratio: { median: ratio, min: ratio, max: ratio }, discarded: 0 };
  return resultOf(of, compared, { wrong: [] }).verdict;
}

test('a bar that is reached is met, one that is not is not', () => {
  expect(verdict({ requests_per_s: 60 }, {})).toBe('met');
  expect(verdict({ requests_per_s: 40 }, {})).toBe('not met');
});

test('against a rival that its client held back nothing is shown by being ahead, and falling behind still counts', () => {
  expect(verdict({ requests_per_s: 60 }, { client_idle: 0.05 })).toBe('not shown');
  expect(verdict({ requests_per_s: 40 }, { client_idle: 0.05 })).toBe('not met');
});

test('held back by its own client, being behind shows nothing, and being ahead still counts', () => {
  expect(verdict({ requests_per_s: 40, client_idle: 0.05 }, {})).toBe('not shown');
  expect(verdict({ requests_per_s: 60, client_idle: 0.05 }, {})).toBe('met');
});

test('of latencies the lower is the better: there a client that was the limit has made its side look worse', () => {
  expect(verdict({ p99_ms: 4 }, {}, ABOUT_LATENCY)).toBe('met');
  expect(verdict({ p99_ms: 6 }, {}, ABOUT_LATENCY)).toBe('not met');
  expect(verdict({ p99_ms: 4 }, { client_idle: 0.05 }, ABOUT_LATENCY)).toBe('not shown');
  expect(verdict({ p99_ms: 6, client_idle: 0.05 }, {}, ABOUT_LATENCY)).toBe('not shown');
});

test('a run that lost requests has no result', () => {
  const pair = { a: run({ failed: 3 }), b: run({}), echo: [1, 1] as const };
  const compared = { pairs: [pair], ratio: { median: 1, min: 1, max: 1 }, discarded: 0 };
  const result = resultOf(SCENARIO, compared, { wrong: [] });
  expect(result.wrong).toEqual(['3 of 100 requests failed']);
  expect(lineOf(result)).toContain('NO RESULT');
});
