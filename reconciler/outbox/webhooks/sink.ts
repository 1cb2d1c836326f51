/** The sink of merchants' webhooks: a delivery for every endpoint that wants an event, written beside the cursor. */
import { fanOut, subscribed } from '../../../ledger/outbox/fan-out.ts';
import type { Sink } from '../sink.ts';

export const WEBHOOK_SINK = 'webhooks';

export function createWebhookSink(): Sink {
  return {
    name: WEBHOOK_SINK,
    async wants(tx) {
      const found = await subscribed(tx);
      return found ? { tenants: found.tenants, ...(found.types && { types: found.types }) } : 'none';
    },
    async take(tx, events) {
      await fanOut(tx, events);
    },
  };
}
