import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromDecimal, toDecimal } from './amounts.ts';

const currency = fc.constantFrom('USD', 'IDR', 'JPY', 'KWD', 'HUF', 'INR', 'CLF');

test('an amount written and read again is the same, whatever its decimals', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 12 }), currency, (amount, code) => {
      expect(fromDecimal(toDecimal(amount, code), code)).toBe(amount);
    }),
  );
});

test('with fewer decimals it is written exactly or not at all', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (amount) => {
      const text = toDecimal(amount, 'IDR', 0);
      expect(text === undefined).toBe(amount % 100 !== 0);
      if (text !== undefined) expect(fromDecimal(text, 'IDR')).toBe(amount);
    }),
  );
});

test.each([
  ['10.5', 'USD', 1_050],
  ['10', 'USD', 1_000],
  [145_000, 'IDR', 14_500_000],
  ['145000.00', 'IDR', 14_500_000],
  ['1234', 'JPY', 1_234],
  ['1234.00', 'JPY', 1_234],
  ['0.001', 'KWD', 1],
])('%s %s is %i', (text, code, minor) => expect(fromDecimal(text, code)).toBe(minor));

test.each([
  ['10.005', 'USD'],
  ['1234.5', 'JPY'],
  ['-1.00', 'USD'],
  ['+1.00', 'USD'],
  ['1e3', 'USD'],
  ['1,000.00', 'USD'],
  [' 1.00', 'USD'],
  ['.5', 'USD'],
  ['', 'USD'],
  [10.5, 'USD'],
  [Number.NaN, 'USD'],
  [null, 'USD'],
  ['99999999999999999999.00', 'USD'],
  ['999999999999999.00', 'USD'],
  ['1.00', 'XXX'],
])('%s %s is no amount', (text, code) => expect(fromDecimal(text, code)).toBeUndefined());

test.each([-1, 0.5, Number.NaN, 2 ** 53])('%d minor units are not written', (amount) => {
  expect(toDecimal(amount, 'USD')).toBeUndefined();
});
