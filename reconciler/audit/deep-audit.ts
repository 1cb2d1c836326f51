/**
 * Everything that the conservation equation cannot see, looked at all the time:
 *
 * - an order soon after something happened to it (the sink of the chain tells which),
 * - every order of the followed sales again and again, whatever happened to it or to its rows,
 * - and each sale as a whole.
 *
 * All of it gives way to ingest and takes a small share of the time, so a large sale is gone through more slowly and not
 * at a higher price. Nothing is ever repaired here.
 */
import { AUDIT_CHECKS, type AuditCheck, storeChecks } from '../../ledger/audit-checks.ts';
import {
  auditOrdersById,
  BEFORE_ALL,
  ORDER_CHECKS,
  type OrderPlace,
  ordersPage,
} from '../../ledger/audit-orders.ts';
import { auditWholeSale, SALE_CHECKS } from '../../ledger/audit-sale.ts';
import type { Logger } from '../../platform/log.ts';
import type { Pool } from '../../platform/postgres.ts';
import type { StepResult } from '../loop.ts';
import type { ReconcilerMetrics } from '../metrics.ts';

export type DeepAuditOptions = {
  db: Pool;
  log: Logger;
  metrics: Pick<ReconcilerMetrics, 'auditViolations' | 'auditOrders'>;
  followed: () => Iterable<number>;
  /** True while ingest is behind: then the audit waits. */
  behind?: () => boolean;
  now_ms?: () => number;
};

export type DeepAudit = {
  /** Something happened to these orders. */
  see(orderIds: Iterable<string>): void;
  /** Orders that something happened to. */
  stepChanged(): Promise<StepResult>;
  /** The next orders of the sale that is being gone through. */
  stepAll(): Promise<StepResult>;
  /** The next sale as a whole. */
  stepSales(): Promise<StepResult>;
};

const ORDERS_AT_ONCE = 500;
/** More are not remembered: they are come across in the course of things. */
const PENDING_MAX = 50_000;
/** What is wrong is looked at again so often, ms. */
const RECHECK_MS = 5_000;
/** Going through all orders, and adding sales up, may each take this share of the time. */
const SHARE = 0.02;
/** A sale is not gone through, and not added up, more often than this, ms. */
const ALL_EVERY_MS = 60_000;
const SALES_EVERY_MS = 5_000;
/** That all is still well is written down so often, ms. */
const STORE_EVERY_MS = 60_000;
/** A capture is made before its time is over; past it for so long an authorization hangs. */
const CAPTURE_GRACE_MS = 3_600_000;
const EXAMPLES_MAX = 10;

export function createDeepAudit(options: DeepAuditOptions): DeepAudit {
  const { db, log, metrics, followed, behind = () => false, now_ms = () => performance.now() } = options;
  const pending = new Set<string>();
  /** check -> what is wrong -> its sale. */
  const wrong = new Map<AuditCheck, Map<string, number>>(AUDIT_CHECKS.map((check) => [check, new Map()]));
  let recheck_at_ms = 0;
  const all = { sale_no: -1, at: BEFORE_ALL as OrderPlace, next_ms: 0, begun: new Map<number, number>() };
  const sales = {
    next_ms: 0,
    done: new Map<number, number>(),
    stored: new Map<number, { same: string; at_ms: number }>(),
  };
  for (const check of AUDIT_CHECKS) metrics.auditViolations.set({ check }, 0);

  const keysOf = (check: AuditCheck) => wrong.get(check) as Map<string, number>;

  async function store(saleNo: number, checks: readonly AuditCheck[]): Promise<void> {
    await storeChecks(
      db,
      saleNo,
      checks.map((check) => {
        const keys = [...keysOf(check)].filter(([, sale_no]) => sale_no === saleNo).map(([key]) => key);
        return { check, violations: keys.length, examples: keys.slice(0, EXAMPLES_MAX) };
      }),
    );
  }

  async function auditOrders(orderIds: readonly string[]): Promise<void> {
    const found = await auditOrdersById(db, orderIds, CAPTURE_GRACE_MS);
    metrics.auditOrders.inc(orderIds.length);
    const touched = new Map<number, Set<AuditCheck>>();
    const touch = (sale_no: number, check: AuditCheck) => {
      touched.set(sale_no, (touched.get(sale_no) ?? new Set()).add(check));
    };
    const now = new Map(found.map((violation) => [violation.order_id, violation]));
    for (const check of ORDER_CHECKS) {
      const keys = keysOf(check);
      for (const id of orderIds) {
        const violation = now.get(id);
        const sale_no = keys.get(id);
        if (violation?.checks.includes(check)) {
          if (sale_no !== undefined) continue;
          keys.set(id, violation.sale_no);
          touch(violation.sale_no, check);
          log.error(
            { sale_no: violation.sale_no, order: id, check },
            'the audit found an order that is wrong',
          );
        } else if (sale_no !== undefined) {
          keys.delete(id);
          touch(sale_no, check);
        }
      }
      metrics.auditViolations.set({ check }, keys.size);
    }
    for (const [sale_no, checks] of touched) await store(sale_no, [...checks]);
  }

  function rememberedWrong(): string[] {
    return [...new Set(ORDER_CHECKS.flatMap((check) => [...keysOf(check).keys()]))];
  }

  return {
    see(orderIds) {
      for (const id of orderIds) {
        if (pending.size >= PENDING_MAX) return;
        pending.add(id);
      }
    },

    async stepChanged() {
      if (behind()) return 'slow';
      if (now_ms() >= recheck_at_ms) {
        recheck_at_ms = now_ms() + RECHECK_MS;
        for (const id of rememberedWrong().slice(0, ORDERS_AT_ONCE)) pending.add(id);
      }
      if (pending.size === 0) return 'idle';
      const ids = [...pending].slice(0, ORDERS_AT_ONCE);
      await auditOrders(ids);
      for (const id of ids) pending.delete(id);
      return pending.size > 0 ? 'busy' : 'idle';
    },

    async stepAll() {
      const began = now_ms();
      if (behind() || began < all.next_ms) return 'idle';
      const known = new Set(followed());
      for (const sale_no of all.begun.keys()) if (!known.has(sale_no)) all.begun.delete(sale_no);
      if (!known.has(all.sale_no)) {
        const next = [...known].find(
          (no) => began >= (all.begun.get(no) ?? Number.NEGATIVE_INFINITY) + ALL_EVERY_MS,
        );
        if (next === undefined) return 'slow';
        all.begun.set(next, began);
        Object.assign(all, { sale_no: next, at: BEFORE_ALL });
      }
      const page = await ordersPage(db, all.sale_no, all.at, ORDERS_AT_ONCE);
      if (page.length > 0) {
        await auditOrders(page.map(({ id }) => id));
        all.at = page[page.length - 1];
      }
      if (page.length < ORDERS_AT_ONCE) {
        await store(all.sale_no, ORDER_CHECKS);
        all.sale_no = -1;
      }
      all.next_ms = now_ms() + (now_ms() - began) / SHARE;
      return 'idle';
    },

    async stepSales() {
      const began = now_ms();
      if (behind() || began < sales.next_ms) return 'idle';
      const known = new Set(followed());
      for (const sale_no of sales.done.keys()) {
        if (known.has(sale_no)) continue;
        sales.done.delete(sale_no);
        sales.stored.delete(sale_no);
        for (const keys of wrong.values()) for (const [key, no] of keys) if (no === sale_no) keys.delete(key);
      }
      const next = [...known].find(
        (no) => began >= (sales.done.get(no) ?? Number.NEGATIVE_INFINITY) + SALES_EVERY_MS,
      );
      if (next === undefined) return 'slow';
      sales.done.set(next, began);
      let results: Awaited<ReturnType<typeof auditWholeSale>>;
      try {
        results = await auditWholeSale(db, next, EXAMPLES_MAX);
      } finally {
        sales.next_ms = now_ms() + (now_ms() - began) / SHARE;
      }
      const told = SALE_CHECKS.map((check) => ({ check, ...results[check] }));
      const same = JSON.stringify(told);
      const stored = sales.stored.get(next);
      if (stored?.same !== same || began >= stored.at_ms + STORE_EVERY_MS) {
        await storeChecks(db, next, told);
        sales.stored.set(next, { same, at_ms: began });
      }
      for (const { check, violations, examples } of told) {
        const keys = keysOf(check);
        const before = [...keys.values()].filter((no) => no === next).length;
        for (const [key, no] of keys) if (no === next) keys.delete(key);
        for (let i = 0; i < violations; i++) keys.set(`${next} ${examples[i] ?? i}`, next);
        metrics.auditViolations.set({ check }, keys.size);
        if (violations > 0 && before === 0)
          log.error({ sale_no: next, check, violations, examples }, 'the audit found a sale that is wrong');
      }
      return 'idle';
    },
  };
}
