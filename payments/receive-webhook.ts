/**
 * A webhook comes in: verified over its raw bytes, stored once for ever, then to be answered. The saga settles it
 * afterwards; what it tells of may not be in the ledger yet. Verifying needs no ledger, and comes first: a forged one
 * costs it nothing.
 */
import { insertPspEvent } from '../ledger/payments/psp-events.ts';
import type { Queryable } from '../platform/postgres.ts';
import { wakeSaga } from './jobs/enqueue.ts';
import type { VerifiedWebhook, WebhookHeaders } from './port.ts';
import type { Providers } from './providers.ts';

/** `headers`: names in lower case. */
export type IncomingWebhook = { provider: string; headers: WebhookHeaders; raw: Buffer; now_ms: number };

export type UnstoredReceipt =
  /** No such provider here: 404. */
  | { kind: 'unknown_provider' }
  /** Not genuine: 401; nothing was written. */
  | { kind: 'refused'; reason: string }
  /** Could not be verified just now: 503, the provider sends it again. */
  | { kind: 'unsure'; reason: string };

export type GenuineWebhook = Extract<VerifiedWebhook, { kind: 'genuine' }> & { provider: string };

/** Answer 200. */
export type StoredReceipt = { kind: 'stored' | 'known' };

export type WebhookReceipt = StoredReceipt | UnstoredReceipt;

export async function verifyWebhook(
  providers: Providers,
  webhook: IncomingWebhook,
): Promise<GenuineWebhook | UnstoredReceipt> {
  const psp = providers.byName(webhook.provider);
  if (!psp) return { kind: 'unknown_provider' };
  const verified = await psp.verifyWebhook(webhook.headers, webhook.raw, webhook.now_ms);
  return verified.kind === 'genuine' ? { ...verified, provider: psp.name } : verified;
}

/** Throws if the ledger is away: answer 503, the provider sends it again. */
export async function storeWebhook(
  db: Queryable,
  { provider, event_id, body }: GenuineWebhook,
): Promise<StoredReceipt> {
  const stored = await insertPspEvent(db, { provider, event_id, body });
  if (stored === 'known') return { kind: 'known' };
  await wakeSaga(db, 'inbox');
  return { kind: 'stored' };
}

export async function receiveWebhook(
  db: Queryable,
  providers: Providers,
  webhook: IncomingWebhook,
): Promise<WebhookReceipt> {
  const verified = await verifyWebhook(providers, webhook);
  return verified.kind === 'genuine' ? storeWebhook(db, verified) : verified;
}
