/** POST /v1/webhooks/{psp}: verified over the raw bytes, stored, answered; the saga works on it afterwards. */
import { storeWebhook, verifyWebhook } from '../../payments/receive-webhook.ts';
import { LEDGER_WRITE_MS } from '../ledger-guard.ts';
import { json, refuse } from '../reply.ts';
import type { Handler } from '../route.ts';
import type { Services } from './services.ts';

export function webhookHandler(services: Pick<Services, 'db' | 'ledger' | 'providers'>): Handler<Buffer> {
  const { db, ledger, providers } = services;
  return async ({ head, body }) => {
    const webhook = { provider: head.params[0], headers: head.all ?? {}, raw: body, now_ms: Date.now() };
    const verified = await verifyWebhook(providers, webhook);
    switch (verified.kind) {
      case 'genuine':
        await ledger.ask(() => storeWebhook(db, verified), LEDGER_WRITE_MS);
        return json(200, { received: true });
      case 'unknown_provider':
        return refuse('not_found');
      case 'refused':
        return refuse('unauthorized', { detail: 'The signature of this webhook does not count.' });
      case 'unsure':
        return refuse('unavailable', { detail: 'This webhook could not be verified just now.' });
    }
  };
}
