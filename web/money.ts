/**
 * Money for people: integers in minor units in, the reader's own notation out.
 *
 * The exponents are those of ISO 4217, as in domain/money.ts (a test holds the two together). Intl's own
 * differ for some currencies, because it goes by the notes and coins people use.
 */
const EXPONENTS: Readonly<Record<string, number>> = {
  BIF: 0, CLP: 0, DJF: 0, GNF: 0, ISK: 0, JPY: 0, KMF: 0, KRW: 0, PYG: 0, RWF: 0, UGX: 0, UYI: 0,
  VND: 0, VUV: 0, XAF: 0, XOF: 0, XPF: 0, BHD: 3, IQD: 3, JOD: 3, KWD: 3, LYD: 3, OMR: 3, TND: 3,
  CLF: 4, UYW: 4,
}; // biome-ignore format: a table reads better packed

export function exponentOf(currency: string): number {
  return EXPONENTS[currency] ?? 2;
}

/** (129900, 'USD') -> "$1,299.00" for an English reader. */
export function formatMoney(amount: number, currency: string, locale?: string): string {
  const digits = exponentOf(currency);
  const format = new Intl.NumberFormat(locale, {
    style: 'currency',
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return format.format(amount / 10 ** digits);
}
