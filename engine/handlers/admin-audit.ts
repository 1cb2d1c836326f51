/** GET /v1/admin/sales/{id}/audit: do the books of both logs balance? */
import type { Redis } from 'ioredis';
import { REDIS_CALL_TIMEOUT_MS } from '../../domain/limits.ts';
import { auditSale, type LiveStock, type SaleAudit } from '../../ledger/audit.ts';
import { AUDIT_CHECKS, readChecks, type StoredCheck } from '../../ledger/audit-checks.ts';
import { findSale } from '../../ledger/stream/cursor.ts';
import { type SalePlace, saleKeys } from '../../lua/keys.ts';
import { isReply, RedisUnavailable, withTimeout } from '../../platform/redis.ts';
import { LEDGER_WRITE_MS } from '../ledger-guard.ts';
import { iso, json, refuse } from '../reply.ts';
import type { Handler } from '../route.ts';
import type { Services } from './services.ts';

/** Under traffic Redis is ahead of the ledger and can't be compared: looked at again this often, this far apart. */
const LOOKS_MAX = 5;
const LOOK_MS = 60;

export function auditHandler(services: Pick<Services, 'redis' | 'db' | 'ledger'>): Handler {
  const { redis, db, ledger } = services;
  return async ({ head, caller }) => {
    const [id] = head.params;
    const sale = await ledger.ask(() => findSale(db, caller.tenant, id), LEDGER_WRITE_MS);
    if (!sale) return refuse('not_found');
    const place = { tenant: caller.tenant, sale: id, generation: sale.generation };
    for (let look = 1; ; look++) {
      const audit = await ledger.ask(() => auditWithRedis(sale.sale_no, place), LEDGER_WRITE_MS);
      if (look === LOOKS_MAX || audit.live.kind !== 'ahead') {
        const checks = await ledger.ask(() => readChecks(db, sale.sale_no), LEDGER_WRITE_MS);
        return json(200, auditView(id, audit, checks));
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  };

  /** Without Redis the ledger's own books are told alone. */
  async function auditWithRedis(sale_no: number, place: SalePlace): Promise<SaleAudit> {
    try {
      return await auditSale(db, sale_no, () => readLive(redis, place));
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error;
      return auditSale(db, sale_no);
    }
  }
}

/** The counters at one moment; null where there is no record. */
async function readLive(redis: Redis, place: SalePlace): Promise<LiveStock | null> {
  const keys = saleKeys(place);
  const reading = redis
    .multi()
    .hmget(keys.record, 'epoch', 'seq')
    .hgetall(keys.available)
    .hgetall(keys.held)
    .exec();
  const answers = await withTimeout(reading, REDIS_CALL_TIMEOUT_MS);
  const [record, available, held] = (answers ?? []).map(([error, value]) => {
    if (isReply(error)) throw error;
    return value;
  });
  const [epoch, seq] = record as (string | null)[];
  if (!epoch) return null;
  return {
    epoch: Number(epoch),
    seq: Number(seq),
    available: counters(available as Record<string, string>),
    held: counters(held as Record<string, string>),
  };
}

function counters(hash: Record<string, string>): Map<string, number> {
  return new Map(Object.entries(hash).map(([sku, count]) => [sku, Number(count)]));
}

function auditView(id: string, audit: SaleAudit, checks: readonly StoredCheck[]) {
  return {
    id,
    balanced: audit.balanced,
    imbalance: audit.imbalance,
    seq: audit.seq,
    epoch: audit.epoch,
    movements: { applied_n: audit.applied_n, acked_n: audit.acked_n, sealed_n: audit.sealed_n },
    fenced_reason: audit.fenced_reason,
    live: audit.live,
    items: audit.skus.map((sku) => ({
      sku: sku.sku,
      total: sku.total,
      reserved: sku.reserved,
      sold: sku.sold,
      available: sku.told_available,
      held: sku.told_held,
      waiting_to_available: sku.waiting_to_available,
      waiting_from_held: sku.waiting_from_held,
      available_off: sku.available_off,
      held_off: sku.held_off,
    })),
    checks: AUDIT_CHECKS.flatMap((name) => checks.filter(({ check }) => check === name)).map((found) => ({
      check: found.check,
      violations: found.violations,
      examples: found.examples,
      checked_at: iso(found.checked_at.getTime()),
    })),
  };
}
