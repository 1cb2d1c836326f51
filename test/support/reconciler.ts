/** One sale with its reconciler's roles, stepped by hand: real ledger, real Redis, no timers. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { buyerHash, encodeOrderId, requestHash } from '../../domain/ids.ts';
import { priceOrder } from '../../domain/pricing.ts';
import type { Gate, Line, Road, ShippingAddress } from '../../domain/types.ts';
import { auditSale, type SaleAudit } from '../../ledger/audit.ts';
import { createSale } from '../../ledger/sales/create-sale.ts';
import { type FollowedSale, followedSale } from '../../ledger/stream/cursor.ts';
import { readLiveStock } from '../../lua/live-stock.ts';
import { encodeOrderPayload } from '../../lua/order-payload.ts';
import { encodeAnswer } from '../../lua/reservation-record.ts';
import { columns } from '../../lua/reserve-batch.ts';
import { reserve } from '../../lua/scripts.ts';
import { createLog } from '../../platform/log.ts';
import type { Pool } from '../../platform/postgres.ts';
import { type FollowDeps, type Follower, followSale } from '../../reconciler/ingest/follow-sale.ts';
import { createReconcilerMetrics } from '../../reconciler/metrics.ts';
import { releaseSale } from '../../reconciler/release/release-sale.ts';
import { placeOf } from '../../reconciler/sale-place.ts';

export const PRICE = 1000;

export type Rig = {
  sale_no: number;
  deps: FollowDeps;
  follower: Follower;
  /** The ledger's row as it is now. */
  sale(): Promise<FollowedSale>;
  /** Steps until the sale is open and the ledger has everything. Throws if that never happens. */
  settle(): Promise<void>;
  /** Takes stock as an engine does. Returns the status letters and the order ids. */
  reserve(requests: readonly RigRequest[], options?: { epoch?: number }): Promise<Taken>;
  /** The same without asking the ledger: with the row given. */
  reserveBlind(row: FollowedSale, requests: readonly RigRequest[]): Promise<Taken>;
  release(): Promise<boolean>;
  audit(): Promise<SaleAudit>;
  /** The same sale as an engine sees it on another Redis. */
  on(redis: Redis): Pick<Rig, 'reserve' | 'reserveBlind'>;
  /** The same sale over another ledger: one that was restored from a copy. */
  over(db: Pool): Rig;
};

export type RigRequest = {
  buyer?: string;
  key?: string;
  lines?: Line[];
  road?: Road;
  shipping_address?: ShippingAddress;
};
export type Taken = { statuses: string; order_ids: string[]; refused?: string };

export type RigOptions = {
  db: Pool;
  redis: Redis;
  tenant?: string;
  items?: readonly { sku: string; qty: number }[];
  hold_ms?: number;
  limit?: number;
  gate?: Gate;
  deps?: Partial<FollowDeps>;
};

export async function rig(options: RigOptions): Promise<Rig> {
  const { db, redis, tenant = `t${randomBytes(4).toString('hex')}` } = options;
  const items = options.items ?? [
    { sku: 'a', qty: 100 },
    { sku: 'b', qty: 100 },
  ];
  const made = await createSale(db, {
    tenant,
    id: 'sale',
    currency: 'USD',
    hold_ms: options.hold_ms ?? 600_000,
    limit_per_buyer: options.limit ?? 0,
    items: items.map((item) => ({ ...item, name: item.sku, unit_price: PRICE })),
    body: {},
  });
  if (made.kind !== 'created') throw new Error(made.kind);
  const { sale_no } = made;
  const skus = items.map((item) => item.sku);
  const deps: FollowDeps = {
    db,
    redis,
    log: createLog({ level: 'silent', service: 'test' }),
    metrics: createReconcilerMetrics(new Registry()),
    enqueueAuthorize: () => Promise.resolve(),
    grace_ms: 30_000,
    ...options.deps,
  };
  return rigOf(deps, sale_no, skus);
}

function rigOf(deps: FollowDeps, sale_no: number, skus: readonly string[]): Rig {
  const { db, redis } = deps;
  const follower = followSale(deps, sale_no);
  const sale = () => followedSale(db, sale_no);
  const settle = async () => {
    for (let step = 0; step < 1_000; step++) {
      const result = await follower.step();
      const now = await sale();
      const open = now.loaded && now.opened_epoch === now.epoch && now.epoch > 0;
      if (result !== 'busy' && result !== 'more' && open && follower.state.lag_entries === 0) return;
    }
    throw new Error(`the sale does not settle: ${(await sale()).fenced_reason}`);
  };
  const on = (connection: Redis): Pick<Rig, 'reserve' | 'reserveBlind'> => ({
    reserve: async (requests, { epoch } = {}) =>
      reserveBlind(connection, await sale(), skus, requests, epoch),
    reserveBlind: (row, requests) => reserveBlind(connection, row, skus, requests),
  });
  return {
    sale_no,
    deps,
    follower,
    sale,
    settle,
    ...on(redis),
    release: () => releaseSale(deps, sale_no),
    audit: async () => {
      const place = placeOf(await sale());
      return auditSale(db, sale_no, () => readLiveStock(redis, place));
    },
    on,
    over: (other) => rigOf({ ...deps, db: other }, sale_no, skus),
  };
}

/** Takes stock as an engine does, with the sale's row as given. `skus`: those of the sale, in their order. */
export async function reserveBlind(
  redis: Redis,
  sale: FollowedSale,
  skus: readonly string[],
  requests: readonly RigRequest[],
  epoch = sale.epoch,
): Promise<Taken> {
  const prepared = requests.map((request) => {
    const { buyer = `b-${randomUUID()}`, key = randomUUID(), lines = ONE, road = 'checkout' } = request;
    const id = requestHash(sale.salt, sale.tenant, sale.sale, buyer, key);
    const buyer_hash = buyerHash(sale.salt, buyer);
    const priced = lines.map((line) => ({ ...line, unit_price: PRICE }));
    const amounts = priceOrder('USD', priced);
    const payload = encodeOrderPayload({
      hash: id,
      buyer,
      buyer_hash,
      fingerprint: FINGERPRINT,
      road,
      limit_units: sale.limit_per_buyer > 0 ? lines.reduce((sum, line) => sum + line.qty, 0) : 0,
      lines: priced,
      amounts,
      payment_method: road === 'checkout' ? { type: 'card', token: 'pm_ok' } : null,
      shipping_address: request.shipping_address ?? null,
      contact: null,
    });
    return {
      id,
      fingerprint: FINGERPRINT,
      buyer_hash,
      lines: priced,
      answer: encodeAnswer(
        road,
        amounts,
        priced,
        priced.map((line) => skus.indexOf(line.sku)),
      ),
      payload,
    };
  });
  const token = { ...placeOf(sale), epoch };
  const now = Date.now();
  const reply = await reserve(redis, token, columns(prepared), { now_ms: now, not_after_ms: now + 60_000 });
  if (reply.kind === 'refused') return { statuses: '', order_ids: [], refused: reply.reason };
  const order_ids = prepared.map(({ id }) =>
    encodeOrderId({ route: sale.route, day: reply.today, hash: id }),
  );
  return { statuses: reply.statuses, order_ids };
}

const ONE: Line[] = [{ sku: 'a', qty: 1 }];
const FINGERPRINT = Buffer.alloc(16, 7);
