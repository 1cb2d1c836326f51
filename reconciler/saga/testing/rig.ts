/** A ledger, a sandbox PSP and sagas between them, for tests. */
import { Registry } from 'prom-client';
import { vi } from 'vitest';
import { beat } from '../../../ledger/heartbeat.ts';
import { expireDue } from '../../../ledger/orders/expire-due.ts';
import { enqueueAuthorize } from '../../../payments/jobs/enqueue.ts';
import { installJobs } from '../../../payments/jobs/install.ts';
import { createProviders, type Providers } from '../../../payments/providers.ts';
import { receiveWebhook } from '../../../payments/receive-webhook.ts';
import type { TestSandbox } from '../../../payments/sandbox/testing/start.ts';
import { createLog } from '../../../platform/log.ts';
import { createPool, type Pool, withTransaction } from '../../../platform/postgres.ts';
import {
  ledgerOrders,
  ledgerSale,
  pastDeadline,
  setHeartbeat,
  type TestOrder,
  type TestSale,
  testLedger,
} from '../../../test/support/ledger.ts';
import { type Saga, type SagaOptions, startSaga } from '../saga.ts';
import type { TestProvider } from './provider.ts';

export type SagaRig = {
  db: Pool;
  url: string;
  sandbox: TestSandbox;
  providers: Providers;
  registry: Registry;
  sale: TestSale;
  /** Timings short enough for a test. */
  start(options?: Partial<SagaOptions>): Promise<Saga>;
  /** Orders of the checkout road that pay with these tokens, as ingest would leave them, without their jobs. */
  orders(tokens: readonly string[], order?: TestOrder): Promise<string[]>;
  enqueue(orderIds: readonly string[]): Promise<void>;
  attempts(orderId: string): Promise<AttemptView[]>;
  state(orderId: string): Promise<string>;
  /** Its hold is over and swept. Somebody may be deciding about it just now: then it is swept again. */
  expire(orderId: string): Promise<void>;
  /** Units reserved and sold, and units given back by movements, of the sale's one SKU. */
  stock(): Promise<{ reserved: number; sold: number; to_available: number; from_held: number }>;
  close(): Promise<void>;
};

export type AttemptView = {
  id: string;
  state: string;
  reversal_wanted: boolean;
  decline_code: string | null;
  tries: number;
};

/** The providers' calls give up after this, ms. */
export const CALL_TIMEOUT_MS = 400;

/** A fresh ledger before the provider, which is in good health again. */
export async function sagaRig(provider: TestProvider): Promise<SagaRig> {
  const { sandbox } = provider;
  const ledger = await testLedger();
  const { db } = ledger;
  await setHeartbeat(db);
  // A reconciler is there all the time: deadlines count.
  const heart = setInterval(() => void beat(db, { period_ms: 2_000, grace_ms: 0 }).catch(() => {}), 1_000);
  await installJobs(db);
  provider.deliverTo(async ({ headers, raw }) => {
    const webhook = { provider: 'sandbox', headers, raw, now_ms: Date.now() };
    const { kind } = await receiveWebhook(db, providers, webhook);
    return kind === 'stored' || kind === 'known';
  });
  await sandbox.admin('faults', { faults: [] });
  await sandbox.admin('settings', { events: 'untold', slow_ms: 150, late_ms: 300 });
  const providers = createProviders(
    { psp: 'sandbox', psp_sandbox_url: sandbox.url, psp_sandbox_secret: sandbox.secret },
    { timeout_ms: CALL_TIMEOUT_MS },
  );
  const registry = new Registry();
  const sale = await ledgerSale(db, { items: [{ sku: 'a', qty: 100_000 }], limit: 0 });
  const sagas: Saga[] = [];
  const sagaDb = createPool({
    ...{ url: ledger.url, max: 8, application_name: 'saga', pipeline: true },
    on_error: () => {},
  });

  return {
    db,
    url: ledger.url,
    sandbox,
    providers,
    registry,
    sale,
    async start(saga_options = {}) {
      const saga = await startSaga({
        pool: sagaDb,
        database_url: ledger.url,
        providers,
        registry: sagas.length === 0 ? registry : new Registry(),
        log: createLog({ level: 'silent', service: 'test' }),
        ...saga_options,
        timings: {
          poll_ms: 200,
          sweep_ms: 100,
          unbegun_ms: 600_000,
          maintenance_s: 1,
          ...saga_options.timings,
        },
      });
      sagas.push(saga);
      return saga;
    },
    async orders(tokens, order = {}) {
      const ids = await ledgerOrders(
        db,
        sale,
        tokens.map(() => ({ limit_units: 0, ...order })),
      );
      await db.query({
        text: `UPDATE orders o SET payment_method = jsonb_build_object('type', 'card', 'token', t.token)
               FROM unnest($1::text[], $2::text[]) AS t (id, token) WHERE o.id = t.id`,
        values: [ids, tokens],
      });
      return ids;
    },
    enqueue: (orderIds) => withTransaction(db, (tx) => enqueueAuthorize(tx, orderIds)),
    async attempts(orderId) {
      const { rows } = await db.query<AttemptView>({
        text: 'SELECT id, state, reversal_wanted, decline_code, tries FROM attempts WHERE order_id = $1 ORDER BY no',
        values: [orderId],
      });
      return rows;
    },
    async state(orderId) {
      const { rows } = await db.query<{ state: string }>({
        text: 'SELECT state FROM orders WHERE id = $1',
        values: [orderId],
      });
      return rows[0].state;
    },
    async expire(orderId) {
      await pastDeadline(db, [orderId]);
      await eventually(async () => {
        await expireDue(db, { limit: 100 });
        const { rows } = await db.query<{ state: string }>({
          text: 'SELECT state FROM orders WHERE id = $1',
          values: [orderId],
        });
        if (rows[0].state !== 'expired') throw new Error(`${orderId} is ${rows[0].state}`);
      });
    },
    async stock() {
      const { rows } = await db.query<{
        reserved: number;
        sold: number;
        to_available: number;
        from_held: number;
      }>({
        text: `SELECT reserved, sold,
                 (SELECT coalesce(sum(to_available), 0)::bigint FROM movements WHERE sale_no = $1) AS to_available,
                 (SELECT coalesce(sum(from_held), 0)::bigint FROM movements WHERE sale_no = $1) AS from_held
               FROM skus WHERE sale_no = $1`,
        values: [sale.sale_no],
      });
      return rows[0];
    },
    async close() {
      clearInterval(heart);
      provider.deliverTo(undefined);
      await Promise.all(sagas.map((saga) => saga.stop()));
      providers.close();
      await sagaDb.end();
      await ledger.close();
    },
  };
}

/** Waits until `check` does not throw, as long as a slow machine needs. */
export function eventually(check: () => Promise<void>, timeout_ms = 15_000): Promise<void> {
  return vi.waitFor(check, { timeout: timeout_ms, interval: 25 });
}
