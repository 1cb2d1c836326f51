/**
 * Stripe's events: verified by the SDK over the raw bytes, and cut down to what a payment is read from. The whole of one
 * has the payment's client secret and its buyer's name and address in it; none of that is to be kept for ever.
 */
import type Stripe from 'stripe';
import type { Payment, VerifiedWebhook, WebhookHeaders } from '../port.ts';
import { SIGNATURE_TOLERANCE_MS } from '../signature.ts';
import { asFields, asText, type Fields } from './reading.ts';
import { readCharge, readIntent } from './stripe-payment.ts';

export const STRIPE_SIGNATURE_HEADER = 'stripe-signature';

const KEPT = [
  ...['id', 'object', 'status', 'amount', 'amount_received', 'currency', 'metadata', 'latest_charge'],
  ...['payment_intent', 'captured', 'amount_captured', 'amount_refunded', 'cancellation_reason'],
];

export function verifyEvent(
  webhooks: Stripe['webhooks'],
  secret: string,
  headers: WebhookHeaders,
  raw: Buffer,
  now_ms: number,
): VerifiedWebhook {
  const header = headers[STRIPE_SIGNATURE_HEADER];
  if (header === undefined) return { kind: 'refused', reason: 'signature missing' };
  const tolerance_s = SIGNATURE_TOLERANCE_MS / 1_000;
  // The SDK's tolerance is for old ones only; one from the future is as wrong.
  const signed_s = Number(/(?:^|,)t=(\d{1,12})(?:,|$)/.exec(header)?.[1]);
  if (!(signed_s - now_ms / 1_000 <= tolerance_s)) return { kind: 'refused', reason: 'signature stale' };
  try {
    const event: unknown = webhooks.constructEvent(raw, header, secret, tolerance_s, undefined, now_ms);
    const { id, type, created, data } = asFields(event) ?? {};
    const event_id = asText(id);
    const object = asFields(asFields(data)?.object);
    if (!event_id || !object) return { kind: 'refused', reason: 'no event' };
    return { kind: 'genuine', event_id, body: { id, type, created, data: { object: cut(object) } } };
  } catch {
    // Its message may hold the body.
    return { kind: 'refused', reason: 'signature wrong, stale or malformed' };
  }
}

export function readEvent(body: unknown): Payment | undefined {
  const object = asFields(asFields(asFields(body)?.data)?.object);
  if (object?.object === 'charge') return readCharge(object);
  if (object?.object !== 'payment_intent') return undefined;
  const read = readIntent(object);
  return read.kind === 'payment' ? read.payment : undefined;
}

function cut(object: Fields): Fields {
  const kept: Record<string, unknown> = {};
  for (const name of KEPT) if (object[name] !== undefined) kept[name] = object[name];
  const { code, decline_code } = asFields(object.last_payment_error) ?? {};
  if (object.last_payment_error) kept.last_payment_error = { code, decline_code };
  const url = asFields(asFields(object.next_action)?.redirect_to_url)?.url;
  if (url) kept.next_action = { redirect_to_url: { url } };
  // Whole where a webhook has it expanded: then it holds more than is to be kept.
  if (typeof kept.latest_charge === 'object') delete kept.latest_charge;
  return kept;
}
