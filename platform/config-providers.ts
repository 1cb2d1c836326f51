/**
 * The payment providers of a deployment: one is configured when its keys are there. Half a set stops the start; a set
 * too many does no harm, for `PSP` alone says where new attempts go, or a sale of its own.
 */
import { ConfigError, oneOf, url } from './env.ts';

export const PROVIDERS = ['sandbox', 'stripe', 'midtrans', 'razorpay', 'paypal'] as const;
export type ProviderName = (typeof PROVIDERS)[number];

export type ProviderConfig = {
  /** Where attempts of sales without a provider of their own go. Configured: see `checkChosen`. */
  psp: ProviderName;
  /** Where the sandbox PSP answers. */
  psp_sandbox_url: string;
  /** Signs its webhooks, and is the bearer of its API. */
  psp_sandbox_secret?: string;
  stripe?: { url: string; secret_key: string; webhook_secret: string };
  midtrans?: { url: string; server_key: string };
  razorpay?: { url: string; key_id: string; key_secret: string; webhook_secret: string };
  paypal?: { url: string; client_id: string; client_secret: string; webhook_id: string };
};

const HTTP = ['https:', 'http:'];

export function loadProviders(env: NodeJS.ProcessEnv): ProviderConfig {
  const stripe = set(env, 'Stripe', {
    secret_key: 'STRIPE_SECRET_KEY',
    webhook_secret: 'STRIPE_WEBHOOK_SECRET',
  });
  begins(stripe?.secret_key, 'STRIPE_SECRET_KEY', ['sk_', 'rk_']);
  begins(stripe?.webhook_secret, 'STRIPE_WEBHOOK_SECRET', ['whsec_']);
  const midtrans = set(env, 'Midtrans', { server_key: 'MIDTRANS_SERVER_KEY' });
  const razorpay = set(env, 'Razorpay', {
    key_id: 'RAZORPAY_KEY_ID',
    key_secret: 'RAZORPAY_KEY_SECRET',
    webhook_secret: 'RAZORPAY_WEBHOOK_SECRET',
  });
  begins(razorpay?.key_id, 'RAZORPAY_KEY_ID', ['rzp_']);
  const paypal = set(env, 'PayPal', {
    client_id: 'PAYPAL_CLIENT_ID',
    client_secret: 'PAYPAL_CLIENT_SECRET',
    webhook_id: 'PAYPAL_WEBHOOK_ID',
  });
  const api = (key: string, fallback: string) => url(env, key, HTTP) ?? fallback;
  const urls = {
    stripe: api('STRIPE_API_URL', 'https://api.stripe.com'),
    // Its test keys say that they are.
    midtrans: api(
      'MIDTRANS_API_URL',
      midtrans?.server_key.startsWith('SB-')
        ? 'https://api.sandbox.midtrans.com'
        : 'https://api.midtrans.com',
    ),
    razorpay: api('RAZORPAY_API_URL', 'https://api.razorpay.com'),
    paypal: api('PAYPAL_API_URL', 'https://api-m.paypal.com'),
  };
  return {
    psp: oneOf(env, 'PSP', PROVIDERS, 'sandbox'),
    psp_sandbox_url: url(env, 'PSP_SANDBOX_URL', HTTP) ?? 'http://127.0.0.1:3002',
    psp_sandbox_secret: env.PSP_SANDBOX_SECRET || undefined,
    stripe: stripe && { url: urls.stripe, ...stripe },
    midtrans: midtrans && { url: urls.midtrans, ...midtrans },
    razorpay: razorpay && { url: urls.razorpay, ...razorpay },
    paypal: paypal && { url: urls.paypal, ...paypal },
  };
}

/** What a process that pays cannot do without: keys of the provider that PSP names. */
export function checkChosen(config: ProviderConfig): void {
  const { psp } = config;
  if (psp === 'sandbox') {
    if (config.psp_sandbox_secret) return;
    throw new ConfigError(
      'PSP_SANDBOX_SECRET must be set: the secret shared with the sandbox payment provider',
    );
  }
  if (config[psp] === undefined) throw new ConfigError(`PSP is ${psp}, so ${KEYS[psp]} must be set`);
}

const KEYS = {
  stripe: 'STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET',
  midtrans: 'MIDTRANS_SERVER_KEY',
  razorpay: 'RAZORPAY_KEY_ID, RAZORPAY_KEY_SECRET and RAZORPAY_WEBHOOK_SECRET',
  paypal: 'PAYPAL_CLIENT_ID, PAYPAL_CLIENT_SECRET and PAYPAL_WEBHOOK_ID',
} as const;

/** All of the variables, or none. */
function set<K extends string>(
  env: NodeJS.ProcessEnv,
  provider: string,
  variables: Readonly<Record<K, string>>,
): Record<K, string> | undefined {
  const rows = Object.entries<string>(variables);
  const missing = rows.filter(([, variable]) => !env[variable]).map(([, variable]) => variable);
  if (missing.length === rows.length) return undefined;
  if (missing.length > 0) {
    throw new ConfigError(
      `${missing.join(' and ')} must be set too: ${provider} needs ${list(Object.values(variables))}`,
    );
  }
  return Object.fromEntries(rows.map(([name, variable]) => [name, env[variable] as string])) as Record<
    K,
    string
  >;
}

function begins(value: string | undefined, variable: string, starts: readonly string[]): void {
  if (value === undefined || starts.some((start) => value.startsWith(start))) return;
  throw new ConfigError(`${variable} must begin with ${starts.join(' or ')}`);
}

function list(names: readonly string[]): string {
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
