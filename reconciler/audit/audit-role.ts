/**
 * Audits the sales that this process follows, all the time, and counts orders for the metrics. Nothing is ever
 * repaired here.
 */
import type { Redis } from 'ioredis';
import { ORDER_STATES } from '../../domain/order-machine.ts';
import { auditSale } from '../../ledger/audit.ts';
import { ordersByState, ordersHeld, ordersStuck } from '../../ledger/stats.ts';
import { followedSale } from '../../ledger/stream/cursor.ts';
import { readLiveStock } from '../../lua/live-stock.ts';
import type { Logger } from '../../platform/log.ts';
import type { Pool } from '../../platform/postgres.ts';
import { runLoop, type StepResult } from '../loop.ts';
import type { ReconcilerMetrics } from '../metrics.ts';
import { placeOf } from '../sale-place.ts';
import { stepErrors } from '../step-errors.ts';
import type { DeepAudit } from './deep-audit.ts';

export type AuditOptions = {
  db: Pool;
  redis: Redis;
  log: Logger;
  metrics: ReconcilerMetrics;
  /** Sales to audit, by number. */
  followed: () => Iterable<number>;
  deep: DeepAudit;
};

const AUDIT_EVERY_MS = 1_000;
const QUIET_AUDIT_EVERY_MS = 10_000;
const COUNT_EVERY_MS = 2_000;
/** An order whose payment did not move for so long is stuck. */
const STUCK_AFTER_MS = 120_000;
/** Counting what is held, or every order, may take this share of the time: of a million it takes a second each. */
const COUNT_HELD_SHARE = 0.05;
const COUNT_ALL_SHARE = 0.02;

export async function runAuditRole(options: AuditOptions, signal: AbortSignal): Promise<void> {
  const { db, redis, log, metrics } = options;
  const onError = stepErrors(log, 'audit');
  const off = new Map<number, number>();
  /** Where a sale was found right: while nothing moves it is read again only now and then. */
  const right = new Map<number, { position: string; until_ms: number }>();

  async function audit(saleNo: number): Promise<void> {
    const sale = await followedSale(db, saleNo);
    if (!sale.loaded) return;
    const position = `${sale.seq} ${sale.sealed_n}`;
    const known = right.get(saleNo);
    if (known?.position === position && performance.now() < known.until_ms) return;
    const result = await auditSale(db, saleNo, () => readLiveStock(redis, placeOf(sale)));
    const differs = result.live.kind === 'differs' ? result.live.skus : [];
    const units = differs.reduce(
      (sum, s) => sum + Math.abs(s.available) + Math.abs(s.held),
      result.imbalance,
    );
    if (units > 0 && off.get(saleNo) !== units) {
      const skus = result.skus.filter((s) => s.available_off !== 0 || s.held_off !== 0);
      const { tenant, sale: id } = sale;
      log.error({ tenant, sale: id, seq: result.seq, units, skus, differs }, 'the books do not balance');
    }
    off.set(saleNo, units);
    if (!result.balanced || result.live.kind !== 'agrees') right.delete(saleNo);
    else right.set(saleNo, { position, until_ms: performance.now() + QUIET_AUDIT_EVERY_MS });
  }

  async function auditAll(): Promise<StepResult> {
    const followed = new Set(options.followed());
    for (const saleNo of off.keys()) if (!followed.has(saleNo)) off.delete(saleNo);
    for (const saleNo of followed) await audit(saleNo);
    metrics.auditImbalance.set([...off.values()].reduce((sum, units) => sum + units, 0));
    return 'slow';
  }

  async function countHeld(): Promise<void> {
    metrics.activeReservations.set(await ordersHeld(db));
    metrics.stuckOrders.set(await ordersStuck(db, STUCK_AFTER_MS));
  }

  async function countAll(): Promise<void> {
    const counts = new Map((await ordersByState(db)).map((row) => [row.state, row.orders]));
    for (const state of ORDER_STATES) metrics.orders.set({ state }, counts.get(state) ?? 0);
  }

  await Promise.all([
    runLoop({ step: auditAll, signal, slow_ms: AUDIT_EVERY_MS, onError }),
    runLoop({ step: inShare(COUNT_HELD_SHARE, countHeld), signal, slow_ms: COUNT_EVERY_MS, onError }),
    runLoop({ step: options.deep.stepChanged, signal, idle_ms_max: 500, onError }),
    runLoop({ step: options.deep.stepAll, signal, onError }),
    runLoop({ step: options.deep.stepSales, signal, onError }),
    runLoop({ step: inShare(COUNT_ALL_SHARE, countAll), signal, slow_ms: COUNT_EVERY_MS, onError }),
  ]);
}

/** A step that does `work` so rarely that it takes no more than `share` of the time. */
function inShare(share: number, work: () => Promise<void>): () => Promise<StepResult> {
  let again_at_ms = 0;
  return async () => {
    const begun = performance.now();
    if (begun < again_at_ms) return 'slow';
    await work();
    const ended = performance.now();
    again_at_ms = ended + (ended - begun) / share;
    return 'slow';
  };
}
