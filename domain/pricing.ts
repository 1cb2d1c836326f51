/**
 * What an order costs: a pure function of the prices at the moment of the reservation. The result is
 * stored with the order (price snapshot) and never computed again.
 */
import type { Line, PricedLine } from './types.ts';

/** All in minor units of `currency`; total = subtotal - discount + shipping + tax. */
export type Amounts = {
  currency: string;
  subtotal: number;
  discount: number;
  shipping: number;
  tax: number;
  total: number;
};

/** What is added to or taken from the subtotal. Every term >= 0; a discount never exceeds the subtotal. */
export type Adjustments = { discount: number; shipping: number; tax: number };

const NO_ADJUSTMENTS: Adjustments = { discount: 0, shipping: 0, tax: 0 };

/** Adds up lines that name the same SKU, keeping the order in which SKUs first appear. */
export function mergeLines(lines: readonly Line[]): Line[] {
  if (lines.length === 1) return [{ sku: lines[0].sku, qty: lines[0].qty }];
  const bySku = new Map<string, Line>();
  for (const { sku, qty } of lines) {
    const known = bySku.get(sku);
    if (known) known.qty += qty;
    else bySku.set(sku, { sku, qty });
  }
  return [...bySku.values()];
}

/** Amounts of priced lines. Throws if a term is not an integer >= 0 or the discount exceeds the subtotal. */
export function priceOrder(
  currency: string,
  lines: readonly PricedLine[],
  adjustments: Adjustments = NO_ADJUSTMENTS,
): Amounts {
  let subtotal = 0;
  for (const line of lines) subtotal += line.qty * line.unit_price;
  const { discount, shipping, tax } = adjustments;
  const total = subtotal - discount + shipping + tax;
  for (const term of [subtotal, discount, shipping, tax, subtotal - discount, total]) {
    if (!Number.isSafeInteger(term) || term < 0) throw new Error(`not an amount: ${term}`);
  }
  return { currency, subtotal, discount, shipping, tax, total };
}
