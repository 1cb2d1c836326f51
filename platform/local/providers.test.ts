import { expect, test } from 'vitest';
import { checkChosen, loadProviders, PROVIDERS } from '../config-providers.ts';
import { NO_PROVIDER_KEYS, playedProviders } from './providers.ts';

const parts = { secret: 'the-sandbox-secret', sandbox_url: 'http://127.0.0.1:3002' };

test('every provider can be chosen without keys: the sandbox plays it', () => {
  const env = { PSP_SANDBOX_SECRET: parts.secret, ...playedProviders({ settings: {}, ...parts }) };
  for (const psp of PROVIDERS) expect(() => checkChosen(loadProviders({ ...env, PSP: psp }))).not.toThrow();
  const { stripe, midtrans, razorpay, paypal } = loadProviders(env);
  const urls = [stripe, midtrans, razorpay, paypal].map((provider) => provider?.url);
  expect(urls).toEqual(
    ['stripe', 'midtrans', 'razorpay', 'paypal'].map((name) => `http://127.0.0.1:3002/${name}`),
  );
});

test("a provider with keys of its user's keeps them and its own address; they reach no other", () => {
  const own = { STRIPE_SECRET_KEY: 'sk_live_canary', STRIPE_WEBHOOK_SECRET: 'whsec_canary' };
  const env = { ...own, ...playedProviders({ settings: loadProviders(own), ...parts }) };
  const { stripe, paypal } = loadProviders(env);
  expect(stripe).toEqual({
    url: 'https://api.stripe.com',
    secret_key: 'sk_live_canary',
    webhook_secret: 'whsec_canary',
  });
  expect(paypal?.url).toBe('http://127.0.0.1:3002/paypal');
  expect(JSON.stringify({ ...env, ...NO_PROVIDER_KEYS })).not.toContain('canary');
  expect(loadProviders({ ...env, ...NO_PROVIDER_KEYS }).stripe).toBeUndefined();
});
