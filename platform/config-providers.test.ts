import { expect, test } from 'vitest';
import { checkChosen, loadProviders } from './config-providers.ts';
import { ConfigError } from './env.ts';

const STRIPE = { STRIPE_SECRET_KEY: 'sk_test_1', STRIPE_WEBHOOK_SECRET: 'whsec_1' };
const RAZORPAY = {
  RAZORPAY_KEY_ID: 'rzp_test_1',
  RAZORPAY_KEY_SECRET: 'secret-1',
  RAZORPAY_WEBHOOK_SECRET: 'secret-2',
};
const PAYPAL = { PAYPAL_CLIENT_ID: 'id', PAYPAL_CLIENT_SECRET: 'secret-3', PAYPAL_WEBHOOK_ID: 'WH-1' };

test('a provider is configured when its keys are there', () => {
  const none = loadProviders({});
  expect(none).toMatchObject({ psp: 'sandbox', psp_sandbox_url: 'http://127.0.0.1:3002' });
  expect([none.stripe, none.midtrans, none.razorpay, none.paypal]).toEqual(Array(4).fill(undefined));
  const all = loadProviders({ ...STRIPE, ...RAZORPAY, ...PAYPAL, MIDTRANS_SERVER_KEY: 'Mid-server-1' });
  expect(all).toMatchObject({
    stripe: { url: 'https://api.stripe.com', secret_key: 'sk_test_1', webhook_secret: 'whsec_1' },
    midtrans: { url: 'https://api.midtrans.com', server_key: 'Mid-server-1' },
    razorpay: { url: 'https://api.razorpay.com', key_id: 'rzp_test_1' },
    paypal: { url: 'https://api-m.paypal.com', client_id: 'id', webhook_id: 'WH-1' },
  });
});

test('a test key of Midtrans goes to its test system', () => {
  const { midtrans } = loadProviders({ MIDTRANS_SERVER_KEY: 'SB-Mid-server-1' });
  expect(midtrans?.url).toBe('https://api.sandbox.midtrans.com');
});

test.each([
  ...Object.keys(STRIPE).map((name) => [name, STRIPE] as const),
  ...Object.keys(RAZORPAY).map((name) => [name, RAZORPAY] as const),
  ...Object.keys(PAYPAL).map((name) => [name, PAYPAL] as const),
])('a set without %s stops the start, and says what is missing, not what is there', (missing, whole) => {
  const line = refusal(() => loadProviders({ ...whole, [missing]: '' }));
  expect(line).toMatch(new RegExp(`^${missing} must be set too: `));
  expect(line).not.toMatch(/secret-\d|sk_test|\n/);
});

test.each([
  ['STRIPE_SECRET_KEY', { ...STRIPE, STRIPE_SECRET_KEY: 'pk_live_1' }],
  ['STRIPE_WEBHOOK_SECRET', { ...STRIPE, STRIPE_WEBHOOK_SECRET: 'sk_1' }],
  ['RAZORPAY_KEY_ID', { ...RAZORPAY, RAZORPAY_KEY_ID: 'secret-9' }],
  ['STRIPE_API_URL', { ...STRIPE, STRIPE_API_URL: 'stripe.com' }],
  ['PSP', { PSP: 'stripy' }],
])('%s that can be none is refused, and not repeated', (name, env) => {
  const line = refusal(() => loadProviders(env));
  expect(line).toMatch(new RegExp(`^${name} must b`));
  expect(line).not.toMatch(/pk_live|secret-9/);
});

test.each([
  ['sandbox', {}, /^PSP_SANDBOX_SECRET must be set/],
  [
    'stripe',
    { PSP_SANDBOX_SECRET: 's' },
    /^PSP is stripe, so STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET must be set$/,
  ],
  ['midtrans', STRIPE, /MIDTRANS_SERVER_KEY must be set$/],
  ['razorpay', STRIPE, /RAZORPAY_KEY_ID, .* must be set$/],
  ['paypal', STRIPE, /PAYPAL_CLIENT_ID, .* must be set$/],
])('PSP=%s without its keys stops the start', (psp, env, line) => {
  expect(refusal(() => checkChosen(loadProviders({ PSP: psp, ...env })))).toMatch(line);
});

test('the sandbox is not needed where another provider is chosen', () => {
  expect(() => checkChosen(loadProviders({ PSP: 'stripe', ...STRIPE }))).not.toThrow();
});

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error('was not refused');
}
