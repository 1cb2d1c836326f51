import { expect, it } from 'vitest';
import { createProviders } from '../../payments/providers.ts';
import { refuseTerms } from '../../payments/terms.ts';
import { loadConfig } from '../config.ts';
import { PROVIDERS } from '../config-providers.ts';
import { demoSaleBody, presentDemo } from './demo-sale.ts';
import { playedProviders } from './providers.ts';

const now_ms = Date.parse('2027-01-31T12:00:00.000Z');
const later = new Date(now_ms + 60_000).toISOString();
// Nobody answers there: these decisions need no ledger.
const database_url = 'postgres://127.0.0.1:1/none';

it.each(PROVIDERS)('the demo sale has money that %s takes', async (psp) => {
  const demo = await presentDemo(undefined, { psp, database_url, now_ms });
  const body = demoSaleBody(demo);
  const sandbox = { secret: 's'.repeat(32), sandbox_url: 'http://127.0.0.1:1' };
  const played = playedProviders({ settings: {}, ...sandbox });
  const config = loadConfig({ ...played, PSP: psp, PSP_SANDBOX_SECRET: sandbox.secret });
  const providers = createProviders(config);
  expect(refuseTerms(providers.chosen, { currency: body.currency, capture: 'at_once' })).toBeUndefined();
  expect(body).toMatchObject({ id: 'demo', psp });
  // Midtrans takes whole rupiah.
  for (const { unit_price } of body.items) expect(body.currency === 'IDR' ? unit_price % 100 : 0).toBe(0);
  providers.close();
});

it('another provider than last time gets a demo sale of its own', async () => {
  const last = { id: 'demo', closes_at: later, psp: 'sandbox' } as const;
  expect(await presentDemo(last, { psp: 'stripe', database_url, now_ms })).toMatchObject({
    id: 'demo-2',
    psp: 'stripe',
  });
  const { psp: _, ...older } = last;
  expect((await presentDemo(older, { psp: 'razorpay', database_url, now_ms })).id).toBe('demo-2');
});
