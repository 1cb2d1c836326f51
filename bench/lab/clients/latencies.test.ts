import { expect, test } from 'vitest';
import { createLatencies } from './latencies.ts';

test('percentiles are those of all that came, also of more than were expected', () => {
  const latencies = createLatencies(1);
  for (let i = 5_000; i >= 1; i--) latencies.add(i);
  expect([latencies.at(0.5), latencies.at(0.99), latencies.at(1)]).toEqual([2_500, 4_950, 5_000]);
  latencies.add(6_000);
  expect([latencies.count(), latencies.at(1)]).toEqual([5_001, 6_000]);
  expect(createLatencies(1).at(0.99)).toBeNaN();
});
