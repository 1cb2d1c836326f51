import { expect, test } from 'vitest';
import type { Capabilities } from './port.ts';
import { refusePayment } from './providers.ts';
import { refuseTerms } from './terms.ts';

const psp = (capabilities: Partial<Capabilities> = {}) => ({
  name: 'acme',
  capabilities: {
    methods: ['card', 'wallet'],
    currencies: ['IDR'],
    captures_at_once: ['wallet'],
    partial_refunds: true,
    closes_references: false,
    authorization_days: 7,
    ...capabilities,
  } satisfies Capabilities as Capabilities,
});
const terms = { currency: 'IDR', capture: 'at_once' } as const;

test('what a provider can do is not refused', () => {
  expect(refuseTerms(psp(), terms)).toBeUndefined();
  expect(refuseTerms(psp(), { ...terms, method: 'wallet' })).toBeUndefined();
  expect(refuseTerms(psp(), { ...terms, capture: 'on_shipment' })).toBeUndefined();
  expect(refuseTerms(psp(), { ...terms, capture: 'on_shipment', method: 'card' })).toBeUndefined();
  expect(refuseTerms(psp({ currencies: 'any' }), { ...terms, currency: 'KWD' })).toBeUndefined();
});

test.each([
  [{}, { currency: 'USD' }, 'currency_not_supported', 'acme takes IDR, not USD'],
  [{}, { method: 'upi' }, 'method_not_supported', 'acme takes card, wallet, not upi'],
  [
    {},
    { capture: 'on_shipment', method: 'wallet' },
    'capture_not_supported',
    "acme takes a wallet's money at once; until shipment it can be held for card",
  ],
  [
    { captures_at_once: ['card', 'wallet'] },
    { capture: 'on_shipment' },
    'capture_not_supported',
    "acme takes money at once; it can't be held until shipment",
  ],
] as const)('%j: %j is refused with %s', (capabilities, asked, code, reason) => {
  expect(refuseTerms(psp(capabilities), { ...terms, ...asked })).toEqual({ code, reason });
});

test('a provider that is not configured is refused by its name; none is the chosen one', () => {
  const providers = { chosen: psp() as never, byName: () => undefined };
  expect(refusePayment(providers, { ...terms, psp: 'stripe' })).toEqual({
    code: 'psp_not_configured',
    reason: 'no payment provider stripe is configured here',
  });
  expect(refusePayment(providers, { ...terms, psp: null })).toBeUndefined();
  expect(refusePayment(providers, { ...terms, currency: 'USD' })).toMatchObject({
    code: 'currency_not_supported',
  });
});
