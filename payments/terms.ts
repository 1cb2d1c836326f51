/**
 * What a provider can't do is refused beforehand, in words for whoever set it up, and never imitated. Pure. A sale's terms
 * are checked when it is created; an attempt's, with the buyer's method, before the provider hears of it.
 */
import type { PaymentMethod } from '../domain/types.ts';
import type { Psp } from './port.ts';

export type PaymentTerms = {
  currency: string;
  /** `on_shipment` needs a provider that holds money until then. */
  capture: 'at_once' | 'on_shipment';
  /** Of an attempt; absent for a sale, whose buyers have not chosen yet. */
  method?: PaymentMethod['type'];
};

export type TermsRefusal = {
  code: 'psp_not_configured' | 'currency_not_supported' | 'method_not_supported' | 'capture_not_supported';
  /** A sentence that names what is asked for and what there is. */
  reason: string;
};

/** Undefined where it can all be had. */
export function refuseTerms(
  psp: Pick<Psp, 'name' | 'capabilities'>,
  { currency, capture, method }: PaymentTerms,
): TermsRefusal | undefined {
  const { methods, currencies, captures_at_once } = psp.capabilities;
  if (currencies !== 'any' && !currencies.includes(currency)) {
    const taken = currencies.length > 8 ? 'it' : currencies.join(', ');
    const reason =
      currencies.length > 8
        ? `${psp.name} does not take ${currency}`
        : `${psp.name} takes ${taken}, not ${currency}`;
    return { code: 'currency_not_supported', reason };
  }
  if (method !== undefined && !methods.includes(method)) {
    return { code: 'method_not_supported', reason: `${psp.name} takes ${methods.join(', ')}, not ${method}` };
  }
  if (capture === 'at_once') return undefined;
  const holding = methods.filter((known) => !captures_at_once.includes(known));
  if (holding.length === 0) {
    return {
      code: 'capture_not_supported',
      reason: `${psp.name} takes money at once; it can't be held until shipment`,
    };
  }
  if (method !== undefined && !holding.includes(method)) {
    return {
      code: 'capture_not_supported',
      reason: `${psp.name} takes a ${method}'s money at once; until shipment it can be held for ${holding.join(', ')}`,
    };
  }
  return undefined;
}
