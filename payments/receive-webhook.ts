/**
 * A webhook comes in: verified over its raw bytes, stored once for ever, then to be answered. The saga settles it
 * afterwards; what it tells of may not be in the ledger yet.
 */
import { insertPspEvent } from '../ledger/payments/psp-events.ts';
import type { Queryable } from '../platform/postgres.ts';
import { wakeSaga } from './jobs/enqueue.ts';
import type { WebhookHeaders } from './port.ts';
import type { Providers } from './providers.ts';

export type WebhookReceipt =
  /** Answer 200. */
  | { kind: 'stored' | 'known' }
  /** No such provider here: 404. */
  | { kind: 'unknown_provider' }
  /** Not genuine: 401; nothing was written. */
  | { kind: 'refused'; reason: string };

/** Throws if the ledger is away: answer 503, the provider sends it again. `headers`: names in lower case. */
export async function receiveWebhook(
  db: Queryable,
  providers: Providers,
  webhook: { provider: string; headers: WebhookHeaders; raw: Buffer; now_ms: number },
): Promise<WebhookReceipt> {
  const psp = providers.byName(webhook.provider);
  if (!psp) return { kind: 'unknown_provider' };
  const verified = psp.verifyWebhook(webhook.headers, webhook.raw, webhook.now_ms);
  if (verified.kind === 'refused') return verified;
  const { event_id, body } = verified;
  const stored = await insertPspEvent(db, { provider: psp.name, event_id, body });
  if (stored === 'known') return { kind: 'known' };
  await wakeSaga(db, 'inbox');
  return { kind: 'stored' };
}
