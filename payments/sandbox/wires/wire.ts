/**
 * A wire format of the sandbox: how one provider's API looks. Behind every wire stand the same payments, journal, faults,
 * idempotency and witness; a wire translates requests into verbs and results into replies, and keeps nothing itself.
 *
 * It is mounted at `/<name>` (the sandbox's own at the root), so an adapter's API URL is `http://sandbox:3002/<name>`. A
 * payment remembers the wire it was made by: its webhooks go out in that format, and no other wire sees it.
 *
 * To add one: a file `wires/<name>.ts` that exports a WireMaker, a row in wires/all.ts. A request that is not what the
 * provider takes: throw HttpRefusal, `failure` gives it the provider's form. Who may call is for the wire to check
 * (same-text.ts), and what it takes as keys follows from the sandbox's secret (platform/sandbox-keys.ts).
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { PaymentMethod } from '../../../domain/types.ts';
import type { SandboxKeys } from '../../../platform/sandbox-keys.ts';
import type { SandboxPayment, SandboxRefund } from '../payment.ts';

/** The sandbox's own wire, whose payments and keys carry no name. */
export const OWN = 'sandbox';

export type WireRequest = {
  method: string;
  /** Below the mount, without query: `/v1/payment_intents/pi_1/confirm`. */
  path: string;
  query: URLSearchParams;
  /** Names in lower case. */
  headers: IncomingHttpHeaders;
  /** The body as it came; '' for none. */
  text: string;
  /** Of method, path, query and body: the same key with another one is another request. */
  fingerprint(): string;
};

export type WireReply =
  | {
      http_status: number;
      /** A string is sent as it is: give it a `content-type`. Everything else as JSON. */
      body: object | string;
      headers?: Readonly<Record<string, string>>;
    }
  /** The answer does not come. */
  | 'never';

/** Answers that say nothing about a payment. */
export type Failure =
  /** There is no such payment. */
  | 'absent'
  /** The key was used for another request. */
  | 'key_reused'
  /** A request under the same key is under way. */
  | 'in_progress'
  /** 500: done or not, for the caller to find out. */
  | 'error'
  /** 503, nothing done. */
  | 'unavailable';

export type Refusal =
  /** The state does not allow it. */
  | 'invalid_state'
  /** Still pending at somebody else's: it can't be called back. */
  | 'processing'
  /** More than there is, or not what was authorized. */
  | 'amount_mismatch'
  /** A payment of this reference is there already (`unique_reference`). */
  | 'duplicate';

export type Result =
  /**
   * How the payment stands after the request, or after the first one under its key. Look at `status`: `declined` and
   * `pending` (with `challenge`, if the buyer has to do something) come this way too. `refund`: of a refund.
   */
  | { kind: 'payment'; payment: SandboxPayment; refund?: SandboxRefund }
  | { kind: 'refused'; code: Refusal; payment: SandboxPayment }
  | { kind: 'failed'; failure: Failure }
  | { kind: 'never' };

export type Found =
  | { kind: 'found'; payments: SandboxPayment[] }
  | { kind: 'failed'; failure: Failure }
  | { kind: 'never' };

/** Under which key a request came; null: the provider has no keys there, so it is done as often as it comes. */
export type Call = { key: string | null; fingerprint: string };

export type NewPayment = {
  /** In the provider's own form, unguessable; by it the payment is found. Absent: `pay_<uuid>`. */
  id?: string;
  /** The merchant's name for it: the attempt. */
  reference: string;
  order_id: string;
  /** Minor units, as the port counts them. */
  amount: number;
  currency: string;
  /** Unpaid it expires then, ms since 1970. */
  expires_at_ms?: number;
  /** What the wire wants to remember. Never a token. */
  extra?: Readonly<Record<string, string>>;
  /** Refuse it as `duplicate` if a payment of this reference is there. */
  unique_reference?: true;
};

export type Confirmation = {
  /** One of tokens.ts: says what happens. */
  token: string;
  method: PaymentMethod['type'];
  /** Where the hosted page leads the buyer afterwards. */
  return_url?: string;
  /** There is no hold: what is approved is captured. */
  capture?: true;
};

/**
 * What a wire may ask for. Faults strike in here, so a wire needs no thought of them: it passes `failed` on in its
 * provider's words, and `never` as 'never'. Everything told is in the journal before.
 */
export type Verbs = {
  /** Makes a payment that charges nothing until `confirm`. */
  create(call: Call, payment: NewPayment): Promise<Result>;
  /** Authorizes what `create` made. */
  confirm(call: Call, id: string, confirmation: Confirmation): Promise<Result>;
  /** Both in one. */
  charge(call: Call, payment: NewPayment & Confirmation): Promise<Result>;
  /** The whole of what is authorized, once. */
  capture(call: Call, id: string, amount: number): Promise<Result>;
  /** Of what is created, authorized, or waits for its buyer. Again: as it stands. */
  void(call: Call, id: string): Promise<Result>;
  /** Void by our own name; one that is not known is closed for ever. */
  closeReference(call: Call, reference: string): Promise<Result>;
  /** The whole or a part; the refund's id in the provider's own form. */
  refund(call: Call, id: string, refund: { id: string; amount: number }): Promise<Result>;
  /** `absent` if there is none. */
  byId(id: string): Promise<Found>;
  /** Oldest first, perhaps none. */
  byReference(reference: string): Promise<Found>;
  /** Newest first. */
  list(limit: number): Promise<Found>;
  /** What moves no money, such as a buyer's approval: kept in `extra`, and told by an event of the present status. */
  remark(id: string, extra: Readonly<Record<string, string>>): Promise<void>;
  /** A payment without faults, for a wire's own needs. */
  peek(id: string): Promise<SandboxPayment | undefined>;
};

export type WireEvent = {
  id: string;
  /** `payment.<status>`, or `payment.partially_refunded`. */
  type: string;
  at_ms: number;
  /** As it stood then. */
  payment: SandboxPayment;
};

export type WebhookRequest = { headers: Readonly<Record<string, string>>; body: string };

export type Wire = {
  name: string;
  handle(request: WireRequest): Promise<WireReply>;
  /** A body too large, a bug: in the provider's words. */
  failure(http_status: number, code: string): WireReply;
  /** An event as this provider tells it, signed now; undefined if it tells nothing of the kind. Also for the second try. */
  webhook(event: WireEvent, now_ms: number): WebhookRequest | undefined;
};

export type WireParts = {
  verbs: Verbs;
  /** What callers prove themselves with, and what webhooks are signed with. */
  keys: SandboxKeys;
  /** Where a buyer's browser finds this wire, without a slash at the end. */
  url: string;
};

export type WireMaker = (parts: WireParts) => Wire;
