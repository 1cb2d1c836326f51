/** POST /v1/webhooks/{psp}: verified over the raw bytes, stored, answered; the saga works on it afterwards. */
import { receiveWebhook } from '../../payments/receive-webhook.ts';
import { LEDGER_WRITE_MS } from '../ledger-guard.ts';
import { json, refuse } from '../reply.ts';
import type { Handler } from '../route.ts';
import type { Services } from './services.ts';

export function webhookHandler(services: Pick<Services, 'db' | 'ledger' | 'providers'>): Handler<Buffer> {
  const { db, ledger, providers } = services;
  return async ({ head, body }) => {
    const webhook = { provider: head.params[0], headers: head.all ?? {}, raw: body, now_ms: Date.now() };
    const receipt = await ledger.ask(() => receiveWebhook(db, providers, webhook), LEDGER_WRITE_MS);
    switch (receipt.kind) {
      case 'stored':
      case 'known':
        return json(200, { received: true });
      case 'unknown_provider':
        return refuse('not_found');
      case 'refused':
        return refuse('unauthorized', { detail: 'The signature of this webhook does not count.' });
    }
  };
}
