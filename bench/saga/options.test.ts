import { expect, test } from 'vitest';
import { parseOptions, UsageError } from './options.ts';

test('without options: twenty thousand orders, a tenth of them for the baseline, three pairs', () => {
  expect(parseOptions([])).toEqual({
    ...{ orders: 20_000, baseline_orders: 2_000, pairs: 3, skus: 100, json: false, help: false },
  });
  expect(parseOptions(['--orders', '500', '--only', 'saga', '--skus', '1'])).toMatchObject({
    ...{ orders: 500, baseline_orders: 50, only: 'saga', skus: 1 },
  });
});

test('what is no option says so', () => {
  for (const args of [['--orders', '0'], ['--orders', 'many'], ['--only', 'both'], ['--speed']])
    expect(() => parseOptions(args)).toThrow(UsageError);
});
