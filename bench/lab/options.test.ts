import { expect, test } from 'vitest';
import { parseOptions, UsageError } from './options.ts';

const KNOWN = ['checkout', 'sold-out'];

test('without a scenario all of them run, five pairs each', () => {
  expect(parseOptions([], KNOWN)).toMatchObject({ scenarios: KNOWN, pairs: 5, seconds: 10 });
  expect(parseOptions(['sold-out', '--quick'], KNOWN)).toMatchObject({
    ...{ scenarios: ['sold-out'], pairs: 1, seconds: 2 },
  });
});

test.each([[['nothing']], [['--pairs', '0']], [['--seconds', '1.5']], [['--nonsense']]])(
  '%j is refused',
  (args) => {
    expect(() => parseOptions(args, KNOWN)).toThrow(UsageError);
  },
);
