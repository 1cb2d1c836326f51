/** A ledger, a merchant's server behind https, and reconcilers between them, for tests. */
import { randomBytes } from 'node:crypto';
import { Registry } from 'prom-client';
import { vi } from 'vitest';
import { insertEndpoint, type NewEndpoint } from '../../../ledger/outbox/endpoints.ts';
import { createLog } from '../../../platform/log.ts';
import type { GuardedPostOptions } from '../../../platform/outgoing/guarded-post.ts';
import { createAuthority } from '../../../platform/outgoing/testing/authority.ts';
import { type Receiver, startReceiver } from '../../../platform/outgoing/testing/receiver.ts';
import { webhookSecret } from '../../../platform/outgoing/webhook-secret.ts';
import type { Pool } from '../../../platform/postgres.ts';
import {
  ledgerOrders,
  ledgerSale,
  type TestOrder,
  type TestSale,
  testLedger,
} from '../../../test/support/ledger.ts';
import { runOutboxRole } from '../outbox-role.ts';
import type { SenderOptions } from '../webhooks/sender.ts';
import { createWebhookSink } from '../webhooks/sink.ts';
import { runWebhookRole, type WebhookTimings } from '../webhooks/webhook-role.ts';

export const SIGNING_KEY = 'a-signing-key-for-tests-that-nobody-guesses';
export const HOST = 'hooks.shop.example';

export type DeliveryView = {
  id: number;
  endpoint_id: string;
  event_id: number | null;
  order_id: string | null;
  type: string;
  state: string;
  tries: number;
  sending: boolean;
  last_status: number | null;
  last_error: string | null;
  /** ms from now. */
  next_ms: number;
};

export type WebhookRig = {
  db: Pool;
  url: string;
  ca: string;
  sale: TestSale;
  receiver: Receiver;
  registry: Registry;
  /** An endpoint at the receiver, of the sale's tenant. Returns its id. */
  endpoint(change?: Partial<NewEndpoint>): Promise<string>;
  secret(endpoint: string, version?: number): string;
  orders(count: number, order?: TestOrder): Promise<string[]>;
  /** Another reconciler. Returns its end. */
  start(options?: {
    sender?: Pick<SenderOptions, 'limits' | 'policy' | 'random'>;
    target?: Partial<GuardedPostOptions>;
    timings?: Partial<WebhookTimings>;
    keep_days?: number;
  }): () => Promise<void>;
  deliveries(endpoint: string): Promise<DeliveryView[]>;
  /** Everything that waits for a time, or counts since one, is as if so much had passed. */
  passTime(ms: number): Promise<void>;
  metric(name: string): Promise<number>;
  close(): Promise<void>;
};

export async function webhookRig(): Promise<WebhookRig> {
  const ledger = await testLedger();
  const { db } = ledger;
  const authority = createAuthority([HOST]);
  const receiver = await startReceiver(authority);
  const sale = await ledgerSale(db, { items: [{ sku: 'a', qty: 100_000 }], limit: 0 });
  const log = createLog({ level: 'silent', service: 'test' });
  const registry = new Registry();
  const ends: (() => Promise<void>)[] = [];

  return {
    ...{ db, url: ledger.url, ca: authority.ca, sale, receiver, registry },
    async endpoint(change = {}) {
      const id = `whe_${randomBytes(6).toString('hex')}`;
      const url = `https://${HOST}:${receiver.port}/${id}`;
      const wanted = { id, tenant: sale.tenant, url, description: null, types: [], ...change };
      await insertEndpoint(db, wanted, 1_000);
      return id;
    },
    secret: (endpoint, version = 1) => webhookSecret(SIGNING_KEY, endpoint, version),
    orders: (count, order = {}) => ledgerOrders(db, sale, Array(count).fill(order)),
    start(options = {}) {
      const ending = new AbortController();
      const own = ends.length === 0 ? registry : new Registry();
      const shared = { pool: db, database_url: ledger.url, log, registry: own };
      const running = Promise.all([
        runOutboxRole(
          {
            ...{ ...shared, sinks: [createWebhookSink()] },
            timings: { poll_ms: 100, gather_ms: 5, skip_ms: 20, stand_by_ms: 50, lag_ms: 100 },
          },
          ending.signal,
        ),
        runWebhookRole(
          {
            ...{ ...shared, signing_key: SIGNING_KEY, keep_days: options.keep_days ?? 30 },
            target: {
              ...{ local: true, ca: authority.ca, timeout_ms: 30_000 },
              resolve: async () => [{ address: '127.0.0.1', family: 4 }],
              ...options.target,
            },
            sender: options.sender,
            timings: {
              ...{ poll_ms: 50, stand_by_ms: 50, housekeeping_ms: 100, measure_ms: 50, patience_ms: 300 },
              ...options.timings,
            },
          },
          ending.signal,
        ),
      ]);
      const stop = async () => {
        ending.abort();
        await running;
      };
      ends.push(stop);
      return stop;
    },
    async deliveries(endpoint) {
      const { rows } = await db.query<DeliveryView>({
        text: `SELECT id, endpoint_id, event_id, order_id, type, state, tries, sending, last_status, last_error,
                 extract(epoch FROM next_try_at - now())::float8 * 1000 AS next_ms
               FROM webhook_deliveries WHERE endpoint_id = $1 ORDER BY event_id, id`,
        values: [endpoint],
      });
      return rows;
    },
    async passTime(ms) {
      const by = `interval '${ms} milliseconds'`;
      await db.query(`UPDATE webhook_deliveries SET next_try_at = next_try_at - ${by}, wanted_at = wanted_at - ${by},
        finished_at = finished_at - ${by}`);
      await db.query(`UPDATE webhook_endpoints SET held_until = held_until - ${by},
        failing_since = failing_since - ${by}, previous_until = previous_until - ${by}`);
      await db.query(`SELECT pg_notify('stampede_webhooks', '')`);
    },
    async metric(name) {
      const line = (await registry.metrics()).split('\n').find((text) => text.startsWith(`${name} `));
      return line === undefined ? 0 : Number(line.split(' ').at(-1));
    },
    async close() {
      await Promise.all(ends.map((end) => end()));
      await receiver.close();
      await ledger.close();
    },
  };
}

/** Waits until `check` does not throw, as long as a slow machine needs. */
export function eventually(check: () => Promise<void> | void): Promise<void> {
  return vi.waitFor(check, { timeout: 20_000, interval: 20 });
}
