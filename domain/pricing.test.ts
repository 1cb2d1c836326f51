import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeLines, priceOrder } from './pricing.ts';

const line = fc.record({
  sku: fc.constantFrom('a', 'b', 'c'),
  qty: fc.integer({ min: 1, max: 1_000 }),
  unit_price: fc.nat({ max: 10_000_000 }),
});

test('the total is the subtotal less the discount plus shipping and tax, all exact', () => {
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 1, maxLength: 50 }),
      fc.nat(),
      fc.nat(),
      (lines, shipping, tax) => {
        const subtotal = lines.reduce((sum, { qty, unit_price }) => sum + qty * unit_price, 0);
        const discount = Math.floor(subtotal / 3);
        expect(priceOrder('USD', lines, { discount, shipping, tax })).toEqual({
          currency: 'USD',
          subtotal,
          discount,
          shipping,
          tax,
          total: subtotal - discount + shipping + tax,
        });
      },
    ),
  );
});

test('refuses amounts that are no amounts', () => {
  const lines = [{ sku: 'a', qty: 1, unit_price: 100 }];
  expect(() => priceOrder('USD', lines, { discount: 101, shipping: 0, tax: 0 })).toThrow();
  expect(() => priceOrder('USD', lines, { discount: 0, shipping: -1, tax: 0 })).toThrow();
  expect(() => priceOrder('USD', lines, { discount: 0, shipping: 0.5, tax: 0 })).toThrow();
  expect(() => priceOrder('USD', [{ sku: 'a', qty: 2, unit_price: Number.MAX_SAFE_INTEGER }])).toThrow();
});

test('merging keeps the units of every SKU and the order in which they first appear', () => {
  expect(
    mergeLines([
      { sku: 'b', qty: 1 },
      { sku: 'a', qty: 2 },
      { sku: 'b', qty: 3 },
    ]),
  ).toEqual([
    { sku: 'b', qty: 4 },
    { sku: 'a', qty: 2 },
  ]);
});
