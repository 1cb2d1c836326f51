/**
 * A simulated engine: the product's checkout core (directory, reserve, batcher), its operators' handlers for stock and its
 * ledger verbs, over simulated connections. Without HTTP: a request is a function that runs in the engine's process.
 */

import { requestFingerprint } from '../../../domain/fingerprint.ts';
import type { Line, Road } from '../../../domain/types.ts';
import { createFindReservation } from '../../../engine/checkout/find-reservation.ts';
import type { Reserve, ReserveOutcome } from '../../../engine/checkout/port.ts';
import { createReserve } from '../../../engine/checkout/reserve.ts';
import { adminStockHandlers } from '../../../engine/handlers/admin-stock.ts';
import type { Reply } from '../../../engine/reply.ts';
import { createSaleDirectory, type SaleDirectory } from '../../../engine/sales/directory.ts';
import { adoptEpoch } from '../../../engine/sales/sale.ts';
import { cancelOrder } from '../../../ledger/orders/cancel-order.ts';
import { confirmOrder } from '../../../ledger/orders/confirm-order.ts';
import { refundOrder } from '../../../ledger/orders/refund-order.ts';
import { returnOrder } from '../../../ledger/orders/return-order.ts';
import { recordShipment } from '../../../ledger/payments/record-shipment.ts';
import { startPayment } from '../../../ledger/payments/start-payment.ts';
import { wantRebuild } from '../../../ledger/rebuild/begin-rebuild.ts';
import { type GateAction, setGate } from '../../../ledger/sales/set-gate.ts';
import { findSale } from '../../../ledger/stream/cursor.ts';
import { gate } from '../../../lua/scripts.ts';
import { enqueueAttempts, enqueueRefunds } from '../../../payments/jobs/enqueue.ts';
import type { Providers } from '../../../payments/providers.ts';
import { receiveWebhook } from '../../../payments/receive-webhook.ts';
import type { Pool } from '../../../platform/postgres.ts';
import type { Process } from '../core/scheduler.ts';
import { createSimPool } from '../ledger/client.ts';
import { createSimProviders } from '../psp/adapter.ts';
import { createSimRedisClient } from '../redis/client.ts';
import type { World } from '../world.ts';

export const TENANT = 'default';
export const SALE = 'sale';

export type CheckoutRequest = { buyer: string; key: string; lines: Line[]; road: Road; token: string };

export type Engine = {
  process: Process;
  checkout(request: CheckoutRequest): Promise<ReserveOutcome>;
  pay(order_id: string, buyer: string, token: string): ReturnType<typeof startPayment>;
  confirm(order_id: string, buyer: string): ReturnType<typeof confirmOrder>;
  cancel(order_id: string, buyer: string): ReturnType<typeof cancelOrder>;
  ship(order_id: string): ReturnType<typeof recordShipment>;
  refund(order_id: string, key: string, amount: number | undefined): ReturnType<typeof refundOrder>;
  giveBack(order_id: string, key: string, restock: boolean): ReturnType<typeof returnOrder>;
  stock(action: 'topup' | 'reduce', key: string, items: Line[]): Promise<Reply>;
  gate(action: GateAction): Promise<string>;
  /** An operator wants the sale's memory rebuilt. */
  rebuild(): Promise<unknown>;
  webhook(raw: Buffer): Promise<boolean>;
  /** What the reservation tells of the order. */
  look(order_id: string, buyer: string): ReturnType<ReturnType<typeof createFindReservation>>;
  /** The process is gone, or its network. */
  cut(): void;
  cutAll(why: string): void;
  cutRedis(why: string): void;
};

const EXTENSION_MS = 8_000;
const LOOK_AGAIN_MS = 15_000;
const NOTHING_SEEN = { batch: () => {}, pending: () => {}, failed: () => {} };

export function createEngine(world: World, name: string): Engine {
  const { scheduler, random, note } = world;
  const process = scheduler.process(name, random.int(-2_000, 2_000));
  const shared = { scheduler, random, process, note };
  const link = createSimRedisClient({
    ...shared,
    missing: world.violate,
    server: world.redis,
    weather: () => world.weather.redis,
    up: () => world.up.redis,
  });
  const connections = createSimPool({
    ...shared,
    ledger: world.ledger,
    weather: () => world.weather.ledger,
    up: () => world.up.ledger,
  });
  const providers: Providers = createSimProviders({
    ...shared,
    provider: world.provider,
    weather: () => world.weather.psp,
    up: () => world.up.psp,
  });
  const redis = link.client;
  const db: Pool = connections.pool;
  const sales: SaleDirectory = createSaleDirectory({
    redis,
    ledgerHas: async (tenant, id) => (await findSale(db, tenant, id)) !== undefined,
    unknown_ms: 50,
  });
  const observe = {
    ...NOTHING_SEEN,
    failed: (error: unknown) => world.violate(`${name}: a batch failed: ${String(error)}`),
  };
  const reserve: Reserve = createReserve({ redis, observe });
  const findReservation = createFindReservation({ redis, sales });
  const ledger = { ask: <T>(work: () => Promise<T>) => work() };
  const stock = adminStockHandlers({ redis, db, ledger, sales } as unknown as Parameters<
    typeof adminStockHandlers
  >[0]);
  const by = { actor: 'operator:sim' };

  function cutAll(why: string): void {
    link.cut(why);
    connections.cut(why);
  }

  return {
    process,
    async checkout({ buyer, key, lines, road, token }) {
      const answer = await sales.get(TENANT, SALE);
      if (answer.kind !== 'sale')
        return { kind: answer.kind === 'recovering' ? 'sale_recovering' : 'unavailable' };
      return reserve({
        ...{ sale: answer.sale, buyer, key, road, lines },
        fingerprint: () => requestFingerprint(`POST /${road}`, { lines, token }),
        payment_method: road === 'checkout' ? { type: 'card', token } : null,
        shipping_address: null,
        contact: null,
      });
    },
    pay: (order_id, buyer, token) =>
      startPayment(
        db,
        {
          ...{ tenant: TENANT, buyer, order_id, psp: providers.chosen.name },
          payment_method: { type: 'card', token },
          ...{ extension_ms: EXTENSION_MS, look_again_ms: LOOK_AGAIN_MS },
        },
        (tx, attempt) => enqueueAttempts(tx, 'saga-look', [attempt.id]),
      ),
    confirm: (order_id, buyer) =>
      confirmOrder(db, { tenant: TENANT, order_id, buyer }, (tx, attempts) =>
        enqueueAttempts(
          tx,
          'saga-capture',
          attempts.filter((a) => a.state === 'authorized' && a.capture_wanted).map((a) => a.id),
        ),
      ),
    cancel: (order_id, buyer) => cancelOrder(db, { tenant: TENANT, order_id, buyer }),
    ship: (order_id) =>
      recordShipment(db, { tenant: TENANT, order_id, ...by }, (tx, ids) =>
        enqueueAttempts(tx, 'saga-capture', ids),
      ),
    refund: (order_id, key, amount) =>
      refundOrder(
        db,
        {
          ...{ tenant: TENANT, order_id, key, reason: null, ...by, restock: false },
          ...(amount === undefined ? {} : { amount }),
          fingerprint: requestFingerprint('POST /refund', { order_id, amount }),
        },
        {
          reverse: (tx, ids) => enqueueAttempts(tx, 'saga-reverse', ids),
          refund: (tx, row) => enqueueRefunds(tx, [row.id]),
        },
      ),
    giveBack: (order_id, key, restock) =>
      returnOrder(
        db,
        {
          ...{ tenant: TENANT, order_id, key, reason: null, restock, ...by },
          fingerprint: requestFingerprint('POST /return', { order_id, restock }),
        },
        (tx, ids) => enqueueAttempts(tx, 'saga-reverse', ids),
      ),
    stock(action, key, items) {
      const context = {
        head: { params: [SALE] },
        caller: { tenant: TENANT, sub: 'sim' },
        key,
        body: { items },
      };
      return Promise.resolve(
        stock[action](context as unknown as Parameters<typeof stock.topup>[0]),
      ) as Promise<Reply>;
    },
    async gate(action) {
      const set = await setGate(db, TENANT, SALE, action);
      if (set.kind !== 'set' && set.kind !== 'same') return set.kind;
      const answer = await sales.get(TENANT, SALE);
      if (answer.kind !== 'sale') return 'recovering';
      const reply = await gate(redis, answer.sale.token, { gate: set.gate, version: set.version });
      if (reply.kind === 'refused') adoptEpoch(answer.sale, reply);
      return reply.kind;
    },
    async rebuild() {
      const sale = await findSale(db, TENANT, SALE);
      return sale?.loaded ? wantRebuild(db, sale.sale_no, { reason: 'operator', ...by }) : undefined;
    },
    async webhook(raw) {
      const headers = { 'sim-signature': 'genuine' };
      const { kind } = await receiveWebhook(db, providers, {
        ...{ provider: providers.chosen.name, headers, raw },
        now_ms: Date.now(),
      });
      return kind === 'stored' || kind === 'known';
    },
    look: (order_id, buyer) => findReservation(order_id, TENANT, buyer),
    cut: () => cutAll('killed'),
    cutAll,
    cutRedis: (why) => link.cut(why),
  };
}
