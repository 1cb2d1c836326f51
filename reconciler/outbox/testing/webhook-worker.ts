/** A process that dispatches events to webhooks and sends them, for tests that kill it. Argument: {database_url, signing_key, ca, lease_ms}. */
import { Registry } from 'prom-client';
import { createLog } from '../../../platform/log.ts';
import { createPool } from '../../../platform/postgres.ts';
import { runOutboxRole } from '../outbox-role.ts';
import { createWebhookSink } from '../webhooks/sink.ts';
import { runWebhookRole } from '../webhooks/webhook-role.ts';

const { database_url, signing_key, ca, lease_ms } = JSON.parse(process.argv[2]) as Record<string, string>;
const pool = createPool({
  url: database_url,
  max: 6,
  application_name: 'webhooks-under-test',
  on_error: () => {},
});
const log = createLog({ level: 'silent', service: 'webhooks' });
const { signal } = new AbortController();
const shared = { pool, database_url, log };
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
await Promise.all([
  runOutboxRole({ ...shared, sinks: [createWebhookSink()], registry: new Registry() }, signal),
  runWebhookRole(
    {
      ...shared,
      ...{ signing_key, keep_days: 30, registry: new Registry() },
      target: { local: true, ca, resolve: async () => [{ address: '127.0.0.1', family: 4 }] },
      sender: { limits: { lease_ms: Number(lease_ms) } },
      timings: { poll_ms: 50, stand_by_ms: 50 },
    },
    signal,
  ),
]);
