/**
 * The port to a payment service provider. One adapter a provider implements it; the saga knows nothing else.
 *
 * - Tokens only: no card number ever passes here.
 * - `reference` is our name for a payment: the id of the attempt. A provider is asked by it.
 * - Every call that does something carries an idempotency key, `attempt:step`. A call that came to no answer
 *   is `unknown`, and the next thing to do is to look the payment up.
 * - Amounts are integers in the minor unit of `currency`; an adapter translates where its provider counts otherwise.
 * - Business outcomes are values. An adapter throws only on a bug.
 */
import type { PaymentMethod } from '../domain/types.ts';

export const PAYMENT_STATUSES = [
  'pending',
  'authorized',
  'captured',
  'refunded',
  'voided',
  'declined',
] as const;

/** `refunded`: everything captured was given back. `pending`: the provider itself does not know yet. */
export type PaymentStatus = (typeof PAYMENT_STATUSES)[number];

/** A payment as its provider reads it. */
export type Payment = {
  reference: string;
  /** The provider's own name for it. */
  psp_ref: string;
  status: PaymentStatus;
  amount: number;
  captured: number;
  refunded: number;
  currency: string;
  decline_code: string | null;
  next_action: NextAction | null;
};

/**
 * What the buyer has to do before a `pending` payment goes on. `wait`: nothing. `redirect`: open the page (3-D Secure,
 * a wallet), it leads back to `return_url`. `upi`: open the link in a UPI app, or scan it as a QR code.
 */
export type NextAction = { type: 'wait' } | { type: 'redirect'; url: string } | { type: 'upi'; url: string };

export type Outcome =
  /** Done, now or by an earlier call under the same key. */
  | { kind: 'approved'; payment: Payment }
  /** Refused, and nothing was done. `payment`: how it stands, where the provider says so. */
  | { kind: 'declined'; code: string; payment?: Payment }
  /** Taken up, but neither approved nor declined yet: a webhook or a look tells later. */
  | { kind: 'pending'; payment: Payment; next_action: NextAction }
  /**
   * No answer, or none that says what was done. Look up before anything else. `answered`: an error was answered, which
   * a provider may repeat for ever under the same key.
   */
  | { kind: 'unknown'; reason: string; answered?: true };

export type LookUp =
  | { kind: 'found'; payment: Payment }
  /** The provider has nothing under this reference. */
  | { kind: 'absent' }
  | { kind: 'unknown'; reason: string };

export type AuthorizeRequest = {
  reference: string;
  /** Of the payment that `create` made; null where the provider has no such step. */
  psp_ref: string | null;
  order_id: string;
  idempotency_key: string;
  amount: number;
  currency: string;
  payment_method: PaymentMethod;
  /** Until when the goods are held; told to the provider, which may give up then. */
  expires_at: Date;
  /** Where a provider's page leads the buyer afterwards. */
  return_url: string;
  /** Of the buyer, as far as the order has it: some providers take no payment without. */
  contact?: { email?: string; phone?: string };
};

export type StepRequest = {
  reference: string;
  psp_ref: string | null;
  idempotency_key: string;
  currency: string;
};
export type AmountRequest = StepRequest & { amount: number };
export type LookUpRequest = { reference: string; psp_ref: string | null };

/** `created`: nothing is charged, or will be, before `authorize` is called with this `psp_ref`. */
export type Created =
  | { kind: 'created'; psp_ref: string }
  | { kind: 'declined'; code: string }
  | { kind: 'unknown'; reason: string; answered?: true };

/** What a provider can do. What it can't is refused beforehand, and never imitated. */
export type Capabilities = {
  methods: readonly PaymentMethod['type'][];
  /** ISO 4217 codes; `any`: all that we know. */
  currencies: 'any' | readonly string[];
  /** Methods whose money is taken with the authorization: there is no hold that could be captured later. */
  captures_at_once: readonly PaymentMethod['type'][];
  partial_refunds: boolean;
  /**
   * A void under a reference that the provider does not know keeps later authorizations under it from succeeding.
   * Where it can't, absence is believed only once every call that may be under way has ended.
   */
  closes_references: boolean;
  /** False: an authorization can't be given up by us. The provider releases it once `authorization_days` are over. */
  voids?: false;
  /** How long an authorization can be captured, days. */
  authorization_days: number;
};

/** Headers as received, names in lower case. */
export type WebhookHeaders = Readonly<Record<string, string | undefined>>;

export type VerifiedWebhook =
  | { kind: 'genuine'; event_id: string; body: unknown }
  /** Signature missing, wrong or too old, or not what this provider sends. */
  | { kind: 'refused'; reason: string }
  /** Whoever has to say so did not answer: the provider is to send it again. */
  | { kind: 'unsure'; reason: string };

export type Psp = {
  name: string;
  capabilities: Capabilities;
  /**
   * Where a provider lets a payment be made that charges nothing until it is confirmed: its `psp_ref` is stored before
   * `authorize`. A look without a stored `psp_ref` is then `absent`, for nothing was ever confirmed.
   */
  create?(request: AuthorizeRequest): Promise<Created>;
  authorize(request: AuthorizeRequest): Promise<Outcome>;
  capture(request: AmountRequest): Promise<Outcome>;
  /** Releases an authorization; see `closes_references` for a reference that is not known. */
  void(request: StepRequest): Promise<Outcome>;
  refund(request: AmountRequest): Promise<Outcome>;
  lookUp(request: LookUpRequest): Promise<LookUp>;
  /** Verifies over the raw bytes. `body` is what to keep; `readEvent` reads it. */
  verifyWebhook(
    headers: WebhookHeaders,
    raw: Buffer,
    now_ms: number,
  ): VerifiedWebhook | Promise<VerifiedWebhook>;
  /** The payment that a kept webhook body tells of; undefined if it tells of none. */
  readEvent(body: unknown): Payment | undefined;
  /** Ends idle connections. */
  close(): void;
};

export type Step = 'create' | 'authorize' | 'capture' | 'void' | 'refund';

/**
 * The provider's idempotency key of a step. `key_no` counts up only once a look has proven that nothing was done under
 * the last key: a provider may repeat a stored error for ever. A refund by the operator carries its own id besides.
 */
export function idempotencyKey(attempt_id: string, step: Step, key_no = 1, refund_id?: string): string {
  const parts = [attempt_id, step];
  if (refund_id !== undefined) parts.push(refund_id);
  if (key_no > 1) parts.push(String(key_no));
  return parts.join(':');
}
