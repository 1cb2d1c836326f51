/**
 * The port, spoken to Stripe through its official SDK: PaymentIntents with manual capture. docs.stripe.com/api.
 *
 * - A payment is made unconfirmed, its id is stored, then it is confirmed: so a payment that nobody knows of was never charged.
 * - Tokens are PaymentMethods (`pm_...`), made in the browser with Stripe.js; wallets (Apple Pay, Google Pay) are such cards.
 * - `metadata.attempt` is our reference. A payment is looked up by its id, not searched for: the search lags behind.
 * - Stripe keeps keys and their answers, 500s too, for a day.
 */
import Stripe from 'stripe';
import { createJsonClient } from '../http-json.ts';
import type { Capabilities, LookUp, Outcome, PaymentStatus, Psp } from '../port.ts';
import { STRIPE_CURRENCIES, toStripe } from './stripe-amounts.ts';
import { failureOf } from './stripe-error.ts';
import { stripeHttpClient } from './stripe-http.ts';
import { outcomeOf, readIntent } from './stripe-payment.ts';
import { readEvent, verifyEvent } from './stripe-webhook.ts';

export type StripeSettings = {
  /** https://api.stripe.com, or where something speaks like it; may have a path. */
  url: string;
  secret_key: string;
  /** Of the webhook endpoint, `whsec_...`. */
  webhook_secret: string;
  /** After this a call's outcome is unknown. */
  timeout_ms?: number;
  connections_max?: number;
};

const CAPABILITIES: Capabilities = {
  methods: ['card', 'wallet'],
  currencies: STRIPE_CURRENCIES,
  captures_at_once: [],
  partial_refunds: true,
  // By canceling the payment, whose id is stored before it is confirmed.
  closes_references: true,
  authorization_days: 7,
};

/** A step is two calls at most, and has to end while its job is still ours. */
const TIMEOUT_MS = 12_000;
const CONNECTIONS_MAX = 64;
/** What the sums of a payment are read from. */
const WHOLE = ['latest_charge.refunds'];

export function createStripePsp(settings: StripeSettings): Psp {
  const { timeout_ms = TIMEOUT_MS } = settings;
  const client = createJsonClient({
    base_url: settings.url,
    headers: {},
    timeout_ms,
    connections_max: settings.connections_max ?? CONNECTIONS_MAX,
  });
  const stripe = new Stripe(settings.secret_key, {
    httpClient: stripeHttpClient(client),
    maxNetworkRetries: 0,
    telemetry: false,
    timeout: timeout_ms,
  });

  /** A call, and what its error means. `wanted`: where one that came before may have brought the payment. */
  async function outcome(
    call: () => Promise<Stripe.PaymentIntent>,
    payment: { reference: string; psp_ref: string | null },
    wanted: readonly PaymentStatus[],
  ): Promise<Outcome> {
    try {
      return outcomeOf(await call());
    } catch (error) {
      const failure = failureOf(error);
      if (failure.kind !== 'state') return failure;
      const known = await lookUp(payment);
      if (known.kind === 'unknown') return known;
      if (known.kind === 'absent') return { kind: 'declined', code: failure.code };
      if (wanted.includes(known.payment.status)) return { kind: 'approved', payment: known.payment };
      return { kind: 'declined', code: failure.code, payment: known.payment };
    }
  }

  async function lookUp({
    reference,
    psp_ref,
  }: {
    reference: string;
    psp_ref: string | null;
  }): Promise<LookUp> {
    if (psp_ref === null) return { kind: 'absent' };
    try {
      const read = readIntent(await stripe.paymentIntents.retrieve(psp_ref, { expand: WHOLE }));
      if (read.kind === 'unreadable') return { kind: 'unknown', reason: 'unreadable' };
      if (read.kind === 'unconfirmed') return { kind: 'absent' };
      if (read.payment.reference !== reference) return { kind: 'unknown', reason: 'reference_mismatch' };
      return { kind: 'found', payment: read.payment };
    } catch (error) {
      const failure = failureOf(error);
      // A payment that was stored is there; that Stripe denies it says that this is another account.
      const reason = failure.kind === 'unknown' ? failure.reason : failure.code;
      return { kind: 'unknown', reason };
    }
  }

  return {
    name: 'stripe',
    capabilities: CAPABILITIES,

    async create({ reference, order_id, idempotency_key, amount, currency }) {
      if (!STRIPE_CURRENCIES.includes(currency)) return { kind: 'declined', code: 'currency_not_supported' };
      const counted = toStripe(amount, currency);
      if (counted === undefined) return { kind: 'declined', code: 'amount_not_supported' };
      try {
        const { id } = await stripe.paymentIntents.create(
          {
            amount: counted,
            currency: currency.toLowerCase(),
            capture_method: 'manual',
            allowed_payment_method_types: ['card'],
            metadata: { attempt: reference, order: order_id },
          },
          { idempotencyKey: idempotency_key },
        );
        return { kind: 'created', psp_ref: id };
      } catch (error) {
        const failure = failureOf(error);
        return failure.kind === 'state' ? { kind: 'unknown', reason: failure.code } : failure;
      }
    },

    async authorize(request) {
      const { psp_ref, idempotency_key, payment_method, return_url } = request;
      if (psp_ref === null) throw new Error('a payment is created before it is authorized');
      const confirm = () =>
        stripe.paymentIntents.confirm(
          psp_ref,
          { payment_method: payment_method.token, return_url, expand: WHOLE },
          { idempotencyKey: idempotency_key },
        );
      return outcome(confirm, request, ['authorized', 'captured']);
    },

    async capture(request) {
      const { psp_ref, idempotency_key, amount, currency } = request;
      const counted = toStripe(amount, currency);
      if (psp_ref === null || counted === undefined) return { kind: 'declined', code: 'invalid_request' };
      const capture = () =>
        stripe.paymentIntents.capture(
          psp_ref,
          { amount_to_capture: counted, expand: WHOLE },
          { idempotencyKey: idempotency_key },
        );
      return outcome(capture, request, ['captured', 'refunded']);
    },

    async void(request) {
      const { psp_ref, idempotency_key } = request;
      if (psp_ref === null) return { kind: 'unknown', reason: 'no_reference' };
      const cancel = () =>
        stripe.paymentIntents.cancel(psp_ref, { expand: WHOLE }, { idempotencyKey: idempotency_key });
      return outcome(cancel, request, ['voided', 'declined']);
    },

    async refund(request) {
      const { psp_ref, reference, idempotency_key, amount, currency } = request;
      const counted = toStripe(amount, currency);
      if (psp_ref === null || counted === undefined) return { kind: 'declined', code: 'invalid_request' };
      const refund = async () => {
        const { payment_intent } = await stripe.refunds.create(
          {
            ...{ payment_intent: psp_ref, amount: counted, metadata: { attempt: reference } },
            expand: ['payment_intent.latest_charge.refunds'],
          },
          { idempotencyKey: idempotency_key },
        );
        return payment_intent as Stripe.PaymentIntent;
      };
      // That it was refunded before says nothing of this refund: how it stands is for a look to say.
      return outcome(refund, request, []);
    },

    lookUp,
    verifyWebhook: (headers, raw, now_ms) =>
      verifyEvent(stripe.webhooks, settings.webhook_secret, headers, raw, now_ms),
    readEvent,
    close: () => client.close(),
  };
}
