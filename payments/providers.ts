/** The providers of a deployment. An attempt keeps the one it was begun with, whatever is chosen later. */
import { checkChosen, type ProviderConfig } from '../platform/config-providers.ts';
import { createMidtransPsp } from './adapters/midtrans.ts';
import { createPayPalPsp } from './adapters/paypal.ts';
import { createRazorpayPsp } from './adapters/razorpay.ts';
import { createSandboxPsp } from './adapters/sandbox.ts';
import { createStripePsp } from './adapters/stripe.ts';
import type { Psp } from './port.ts';
import { type PaymentTerms, refuseTerms, type TermsRefusal } from './terms.ts';

export type { ProviderConfig };

export type Providers = {
  /** Where new attempts go. */
  chosen: Psp;
  byName(name: string): Psp | undefined;
  close(): void;
};

export type CallSettings = {
  /** After this a call's outcome is unknown. */
  timeout_ms?: number;
  connections_max?: number;
};

/** Throws ConfigError if the chosen one is not configured. `settings`: for all of them, instead of their own. */
export function createProviders(config: ProviderConfig, settings: CallSettings = {}): Providers {
  checkChosen(config);
  const { psp_sandbox_url, psp_sandbox_secret, stripe, midtrans, razorpay, paypal } = config;
  const all = new Map<string, Psp>();
  const add = (psp: Psp | undefined) => psp && all.set(psp.name, psp);
  if (psp_sandbox_secret) {
    add(createSandboxPsp({ url: psp_sandbox_url, secret: psp_sandbox_secret, ...settings }));
  }
  if (stripe) add(createStripePsp({ ...stripe, ...settings }));
  if (midtrans) add(createMidtransPsp({ ...midtrans, ...settings }));
  if (razorpay) add(createRazorpayPsp({ ...razorpay, ...settings }));
  if (paypal) add(createPayPalPsp({ ...paypal, ...settings }));
  const chosen = all.get(config.psp);
  if (!chosen) throw new Error(`no payment provider ${config.psp}`);
  return {
    chosen,
    byName: (name) => all.get(name),
    close: () => {
      for (const psp of all.values()) psp.close();
    },
  };
}

/** Why a sale or an attempt can't be paid on these terms; undefined if it can. `psp` absent: the deployment's. */
export function refusePayment(
  providers: Pick<Providers, 'chosen' | 'byName'>,
  { psp: name, ...terms }: PaymentTerms & { psp?: string | null },
): TermsRefusal | undefined {
  const psp = name ? providers.byName(name) : providers.chosen;
  if (psp) return refuseTerms(psp, terms);
  return { code: 'psp_not_configured', reason: `no payment provider ${name} is configured here` };
}
