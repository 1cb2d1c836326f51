/**
 * Amounts and times as a buyer reads them.
 *
 * The number of decimals is the currency's own in ISO 4217 (domain/money.ts), never what a locale would round to; the
 * locale decides signs, separators and the place of the currency. Amounts stay text all the way: no floats.
 */
import { currencyExponent, formatMinor } from '../../domain/money.ts';

export type Words = {
  /** (129900, 'INR') -> "₹1,299.00". `display` 'code': "INR 1,299.00". */
  amount(minor: number, currency: string, display?: 'symbol' | 'code'): string;
  /** With the zone: "21 November 2026 at 11:14 UTC". */
  time(at: Date): string;
  date(at: Date): string;
};

export function createWords(options: { locale: string; time_zone: string }): Words {
  const { locale, time_zone: timeZone } = options;
  const formats = new Map<string, Intl.NumberFormat>();
  const formatOf = (currency: string, currencyDisplay: 'symbol' | 'code') => {
    const key = `${currency} ${currencyDisplay}`;
    const known = formats.get(key);
    if (known) return known;
    const decimals = currencyExponent(currency);
    const made = new Intl.NumberFormat(locale, {
      style: 'currency',
      currency,
      currencyDisplay,
      minimumFractionDigits: decimals,
      maximumFractionDigits: decimals,
    });
    formats.set(key, made);
    return made;
  };
  const time = new Intl.DateTimeFormat(locale, {
    ...{ year: 'numeric', month: 'long', day: 'numeric', hour: '2-digit', minute: '2-digit' },
    ...{ timeZone, timeZoneName: 'short', hourCycle: 'h23' },
  });
  const date = new Intl.DateTimeFormat(locale, { year: 'numeric', month: 'long', day: 'numeric', timeZone });
  return {
    amount(minor, currency, display = 'symbol') {
      const decimal = formatMinor(minor, currency) as Intl.StringNumericLiteral;
      return formatOf(currency, display).format(decimal);
    },
    time: (at) => time.format(at),
    date: (at) => date.format(at),
  };
}
