/**
 * Amounts on the wires of providers that count in decimals, such as "1299.00". Text to integer and back, never a
 * float. Providers have decimals of their own for some currencies: IDR and HUF have none there, two in ISO 4217.
 */
import { currencyExponent, formatMinor, isCurrency } from '../../domain/money.ts';

/** Minor units as the provider writes them with `decimals`; undefined where that would cut something off. */
export function toDecimal(
  amount: number,
  currency: string,
  decimals = currencyExponent(currency),
): string | undefined {
  if (!Number.isSafeInteger(amount) || amount < 0) return undefined;
  const [whole, fraction = ''] = formatMinor(amount, currency).split('.');
  const cut = fraction.slice(decimals);
  if (/[1-9]/.test(cut)) return undefined;
  const kept = fraction.slice(0, decimals).padEnd(decimals, '0');
  return decimals === 0 ? whole : `${whole}.${kept}`;
}

/** Minor units of a decimal text, or of a whole number; undefined for what is no amount of this currency. */
export function fromDecimal(value: unknown, currency: string): number | undefined {
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== 'string' || !isCurrency(currency)) return undefined;
  const match = /^(\d{1,15})(?:\.(\d{1,6}))?$/.exec(text);
  if (!match) return undefined;
  const [, whole, fraction = ''] = match;
  const exponent = currencyExponent(currency);
  if (/[1-9]/.test(fraction.slice(exponent))) return undefined;
  const minor = Number(whole + fraction.slice(0, exponent).padEnd(exponent, '0'));
  return Number.isSafeInteger(minor) ? minor : undefined;
}
