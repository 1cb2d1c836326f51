/**
 * Amounts as Stripe counts them (docs.stripe.com/currencies): in the minor unit, with decimals of its own for some currencies.
 * What it does not take, or what could be read two ways (UGX stands in two of its lists), is not offered.
 */
import { currencyExponent, isCurrency } from '../../domain/money.ts';

/** Decimals that are not those of ISO 4217. */
const DECIMALS: Readonly<Record<string, number>> = { ISK: 2, MGA: 0 };

/** Three decimals, of which the last must be 0. */
const ROUND_TO_TEN = new Set(['BHD', 'JOD', 'KWD', 'OMR', 'TND']);

/** Currencies that cards can be charged in. */
export const STRIPE_CURRENCIES: readonly string[] = (
  'AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CLP CNY COP ' +
  'CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD JOD ' +
  'JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN ' +
  'NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE SOS SRD SZL THB TJS ' +
  'TND TOP TRY TTD TWD TZS UAH USD UYU UZS VND VUV WST XAF XCD XOF XPF YER ZAR ZMW'
)
  .split(' ')
  .filter(isCurrency);

/** Our minor units as Stripe's; undefined where that would cut something off. */
export function toStripe(amount: number, currency: string): number | undefined {
  const shift = decimalsOf(currency) - currencyExponent(currency);
  const counted = shift >= 0 ? amount * 10 ** shift : amount / 10 ** -shift;
  if (!Number.isSafeInteger(counted)) return undefined;
  return ROUND_TO_TEN.has(currency) && counted % 10 !== 0 ? undefined : counted;
}

/** And back; undefined for what is no amount of ours. */
export function fromStripe(counted: number, currency: string): number | undefined {
  if (!isCurrency(currency) || !Number.isSafeInteger(counted) || counted < 0) return undefined;
  const shift = decimalsOf(currency) - currencyExponent(currency);
  const amount = shift >= 0 ? counted / 10 ** shift : counted * 10 ** -shift;
  return Number.isSafeInteger(amount) ? amount : undefined;
}

function decimalsOf(currency: string): number {
  return DECIMALS[currency] ?? currencyExponent(currency);
}
