import { expect, test } from 'vitest';
import { currencyExponent, formatMinor, isCurrency } from './money.ts';

test('exponents follow ISO 4217, also where daily use does not', () => {
  expect(
    ['USD', 'IDR', 'HUF', 'INR', 'JPY', 'KRW', 'VND', 'KWD', 'TND', 'CLF'].map(currencyExponent),
  ).toEqual([2, 2, 2, 2, 0, 0, 0, 3, 3, 4]);
});

test('only active codes are currencies', () => {
  expect(['USD', 'EUR', 'JPY'].every(isCurrency)).toBe(true);
  expect(['usd', 'XXX', 'DEM', '', 'toString', 'BTC'].some(isCurrency)).toBe(false);
  expect(() => currencyExponent('DEM')).toThrow();
});

test('minor units are written with the decimals of their currency', () => {
  expect(formatMinor(129_900, 'USD')).toBe('1299.00');
  expect(formatMinor(5, 'USD')).toBe('0.05');
  expect(formatMinor(-5, 'KWD')).toBe('-0.005');
  expect(formatMinor(500, 'JPY')).toBe('500');
});
