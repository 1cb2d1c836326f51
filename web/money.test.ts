import { describe, expect, it } from 'vitest';
import { currencyExponent, isCurrency } from '../domain/money.ts';
import { exponentOf, formatMoney } from './money.ts';

describe('money on the page', () => {
  it('counts every currency as the engine does', () => {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
    const codes = [...letters].flatMap((a) =>
      [...letters].flatMap((b) => [...letters].map((c) => a + b + c)),
    );
    const currencies = codes.filter(isCurrency);
    expect(currencies.length).toBeGreaterThan(150);
    expect(currencies.filter((code) => exponentOf(code) !== currencyExponent(code))).toEqual([]);
  });

  it.each([
    [129_900, 'USD', 'en-US', '$1,299.00'],
    [5_000_000, 'IDR', 'en-US', 'IDR 50,000.00'],
    [1_500, 'JPY', 'en-US', '¥1,500'],
    [12_345, 'KWD', 'en-US', 'KWD 12.345'],
    [0, 'EUR', 'de-DE', '0,00 €'],
  ])('%i minor units of %s for %s: %s', (amount, currency, locale, text) => {
    expect(formatMoney(amount, currency, locale).replaceAll('\u00a0', ' ')).toBe(text);
  });
});
