/**
 * The local stack has every payment provider: whichever its user has no keys for is played by the sandbox. So
 * `PSP=stripe npm start`, and a sale with `"psp": "paypal"`, work offline and move no money.
 */
import type { ProviderConfig } from '../config-providers.ts';
import { sandboxKeys } from '../sandbox-keys.ts';

type Parts = {
  /** What its user has configured. */
  settings: Pick<ProviderConfig, 'stripe' | 'midtrans' | 'razorpay' | 'paypal'>;
  secret: string;
  sandbox_url: string;
};

/** For engine and reconciler. A provider configured by the user is left as it is, and never mixed with these. */
export function playedProviders({ settings, secret, sandbox_url }: Parts): Record<string, string> {
  const keys = sandboxKeys(secret);
  const played = {
    stripe: {
      STRIPE_API_URL: `${sandbox_url}/stripe`,
      STRIPE_SECRET_KEY: keys.stripe.secret_key,
      STRIPE_WEBHOOK_SECRET: keys.stripe.webhook_secret,
    },
    midtrans: {
      MIDTRANS_API_URL: `${sandbox_url}/midtrans`,
      MIDTRANS_SERVER_KEY: keys.midtrans.server_key,
    },
    razorpay: {
      RAZORPAY_API_URL: `${sandbox_url}/razorpay`,
      RAZORPAY_KEY_ID: keys.razorpay.key_id,
      RAZORPAY_KEY_SECRET: keys.razorpay.key_secret,
      RAZORPAY_WEBHOOK_SECRET: keys.razorpay.webhook_secret,
    },
    paypal: {
      PAYPAL_API_URL: `${sandbox_url}/paypal`,
      PAYPAL_CLIENT_ID: keys.paypal.client_id,
      PAYPAL_CLIENT_SECRET: keys.paypal.client_secret,
      PAYPAL_WEBHOOK_ID: keys.paypal.webhook_id,
    },
  };
  const names = Object.keys(played) as (keyof typeof played)[];
  return Object.assign({}, ...names.filter((name) => !settings[name]).map((name) => played[name]));
}

/** For parts that pay nobody: keys of real accounts are none of their business. */
export const NO_PROVIDER_KEYS: Readonly<Record<string, string>> = {
  STRIPE_SECRET_KEY: '',
  STRIPE_WEBHOOK_SECRET: '',
  MIDTRANS_SERVER_KEY: '',
  RAZORPAY_KEY_ID: '',
  RAZORPAY_KEY_SECRET: '',
  RAZORPAY_WEBHOOK_SECRET: '',
  PAYPAL_CLIENT_ID: '',
  PAYPAL_CLIENT_SECRET: '',
  PAYPAL_WEBHOOK_ID: '',
};
