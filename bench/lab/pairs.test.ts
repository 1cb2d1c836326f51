import { expect, test } from 'vitest';
import type { Measurement } from './measure.ts';
import { comparePairs } from './pairs.ts';

const run = (requests_per_s: number) => Promise.resolve({ requests_per_s } as Measurement);
const silent = () => {};

test('A and B in turn, and the ratio pair by pair', async () => {
  const order: string[] = [];
  const rates = { a: [50, 60, 40], b: [100, 100, 100] };
  const take = (name: 'a' | 'b') => {
    order.push(name);
    return run(rates[name].shift() ?? 0);
  };
  const compared = await comparePairs({
    ...{ pairs: 3, say: silent, echo: () => Promise.resolve(1_000) },
    ...{ a: () => take('a'), b: () => take('b') },
  });
  expect(order.join('')).toBe('ababab');
  expect(compared.ratio).toEqual({ median: 0.5, min: 0.4, max: 0.6 });
});

test('a pair during which the machine changed does not count, and a machine that never rests gives no result', async () => {
  const echoes = [1_000, 1_000, 1_000, 850, 1_000, 950];
  const compared = await comparePairs({
    ...{ pairs: 2, say: silent, a: () => run(1), b: () => run(1) },
    echo: () => Promise.resolve(echoes.shift() ?? 0),
  });
  expect([compared.pairs.length, compared.discarded]).toEqual([2, 1]);

  let drifting = 1_000;
  const never = await comparePairs({
    ...{ pairs: 2, say: silent, a: () => run(1), b: () => run(1) },
    echo: () => {
      drifting *= 0.8;
      return Promise.resolve(drifting);
    },
  });
  expect(never).toEqual({ pairs: [], ratio: undefined, discarded: 4 });
});
