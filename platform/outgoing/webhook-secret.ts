/**
 * Secrets and signatures of merchants' webhooks (Standard Webhooks 1.0). A secret is derived from the deployment's key,
 * the endpoint and a version: nothing secret lies in the ledger, and a new version is a new secret.
 */
import { hkdfSync } from 'node:crypto';
import { Webhook } from 'standardwebhooks';

const SECRET_BYTES = 32;

/** As the merchant gets to see it, and as libraries take it. */
export function webhookSecret(master_key: string, endpoint_id: string, version: number): string {
  const info = `stampede webhook ${endpoint_id} ${version}`;
  const bytes = Buffer.from(hkdfSync('sha256', master_key, '', info, SECRET_BYTES));
  return `whsec_${bytes.toString('base64')}`;
}

export type SignedHeaders = Readonly<
  Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>
>;

/** One signature a secret: the receiver needs to know one of them. */
export function signWebhook(message: {
  id: string;
  at_ms: number;
  body: string;
  secrets: readonly string[];
}): SignedHeaders {
  const { id, at_ms, body, secrets } = message;
  const at = new Date(at_ms);
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at_ms / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  };
}
