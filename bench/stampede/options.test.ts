import { expect, test } from 'vitest';
import { parseOptions, UsageError } from './options.ts';

test('what is not said has a default', () => {
  expect(parseOptions([])).toMatchObject({
    buyers: 10_000,
    units: 100,
    skus: 1,
    connections: 300,
    json: false,
  });
});

test('there are never more connections than buyers', () => {
  expect(parseOptions(['--buyers', '5'])).toMatchObject({ buyers: 5, connections: 5 });
});

test.each([
  [['--buyers', '0']],
  [['--buyers', 'many']],
  [['--units', '-1']],
  [['--skus', '1.5']],
  [['--url', 'localhost:3000']],
  [['--url', 'http://localhost:3000/v1/checkout']],
  [['--nonsense']],
  [['stray']],
])('%j is refused', (args) => {
  expect(() => parseOptions(args)).toThrow(UsageError);
});
