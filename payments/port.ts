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

/** What the buyer has to do before a `pending` payment goes on; `wait`: nothing. */
export type NextAction = { type: 'wait' } | { type: 'redirect'; url: string };

export type Outcome =
  /** Done, now or by an earlier call under the same key. */
  | { kind: 'approved'; payment: Payment }
  /** Refused, and nothing was done. `payment`: how it stands, where the provider says so. */
  | { kind: 'declined'; code: string; payment?: Payment }
  /** Taken up, but neither approved nor declined yet: a webhook or a look tells later. */
  | { kind: 'pending'; payment: Payment; next_action: NextAction }
  /** No answer, or none that says what was done. Look up before anything else. */
  | { kind: 'unknown'; reason: string };

export type LookUp =
  | { kind: 'found'; payment: Payment }
  /** The provider has nothing under this reference. */
  | { kind: 'absent' }
  | { kind: 'unknown'; reason: string };

export type AuthorizeRequest = {
  reference: string;
  order_id: string;
  idempotency_key: string;
  amount: number;
  currency: string;
  payment_method: PaymentMethod;
  /** Until when the goods are held; told to the provider, which may give up then. */
  expires_at: Date;
};

export type StepRequest = { reference: string; psp_ref: string | null; idempotency_key: string };
export type AmountRequest = StepRequest & { amount: number };

/** Headers as received, names in lower case. */
export type WebhookHeaders = Readonly<Record<string, string | undefined>>;

export type VerifiedWebhook =
  | { kind: 'genuine'; event_id: string; body: unknown }
  /** Signature missing, wrong or too old, or not what this provider sends. */
  | { kind: 'refused'; reason: string };

export type Psp = {
  name: string;
  authorize(request: AuthorizeRequest): Promise<Outcome>;
  capture(request: AmountRequest): Promise<Outcome>;
  /**
   * Releases an authorization. A reference the provider does not know is closed as well: an authorization that
   * arrives later under it is declined.
   */
  void(request: StepRequest): Promise<Outcome>;
  refund(request: AmountRequest): Promise<Outcome>;
  lookUp(reference: string): Promise<LookUp>;
  /** Verifies over the raw bytes. `body` is what to keep; `readEvent` reads it. */
  verifyWebhook(headers: WebhookHeaders, raw: Buffer, now_ms: number): VerifiedWebhook;
  /** The payment that a kept webhook body tells of; undefined if it tells of none. */
  readEvent(body: unknown): Payment | undefined;
  /** Ends idle connections. */
  close(): void;
};

export type Step = 'authorize' | 'capture' | 'void' | 'refund';

/** The provider's idempotency key of a step. */
export function idempotencyKey(attempt_id: string, step: Step): string {
  return `${attempt_id}:${step}`;
}
