/**
 * Money: integers in the currency's minor unit, never floats.
 *
 * Exponents are those of ISO 4217 (list one, 2024-06-25), also where daily use differs: IDR and
 * HUF have 2 there although nobody uses the cents, JPY and KRW have 0, KWD has 3. A PSP that counts
 * otherwise is translated in its adapter, nowhere else.
 */

/** Minor-unit exponents that are not 2. Source: ISO 4217 list one. */
const EXPONENTS: Readonly<Record<string, number>> = {
  BIF: 0, CLP: 0, DJF: 0, GNF: 0, ISK: 0, JPY: 0, KMF: 0, KRW: 0, PYG: 0, RWF: 0, UGX: 0, UYI: 0,
  VND: 0, VUV: 0, XAF: 0, XOF: 0, XPF: 0, BHD: 3, IQD: 3, JOD: 3, KWD: 3, LYD: 3, OMR: 3, TND: 3,
  CLF: 4, UYW: 4,
}; // biome-ignore format: a table reads better packed

/** Active ISO 4217 codes of national currencies with two decimals; with EXPONENTS this is every accepted code. */
const TWO_DECIMALS = new Set(
  (
    'AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP ' +
    'CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR ' +
    'JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN ' +
    'NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP ' +
    'SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG'
  ).split(' '),
);

/** Is this an active ISO 4217 currency code that we take? */
export function isCurrency(code: string): boolean {
  return TWO_DECIMALS.has(code) || Object.hasOwn(EXPONENTS, code);
}

/** Number of decimals of a currency's minor unit. Throws on a code that `isCurrency` refuses. */
export function currencyExponent(code: string): number {
  if (!isCurrency(code)) throw new Error(`not a currency: ${code}`);
  return EXPONENTS[code] ?? 2;
}

/** Minor units as a decimal string: (129900, 'USD') -> "1299.00". */
export function formatMinor(amount: number, currency: string): string {
  const exponent = currencyExponent(currency);
  const digits = String(Math.abs(amount)).padStart(exponent + 1, '0');
  const sign = amount < 0 ? '-' : '';
  if (exponent === 0) return sign + digits;
  return `${sign}${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}
