/**
 * Puts a new sale into Redis: SKUs in steps, then the record with its recovery gate closed, then the ledger
 * notes that it is there. Verification opens it. A crash anywhere is finished by doing it again.
 */
import type { Redis } from 'ioredis';
import { LOAD_ITEMS_MAX, REDIS_CALL_TIMEOUT_MS } from '../../domain/limits.ts';
import type { Gate } from '../../domain/types.ts';
import type { FollowedSale } from '../../ledger/stream/cursor.ts';
import { loadRows } from '../../ledger/stream/load-rows.ts';
import { markLoaded } from '../../ledger/stream/mark-loaded.ts';
import { saleKeys } from '../../lua/keys.ts';
import { load, loadItems } from '../../lua/scripts.ts';
import type { Queryable } from '../../platform/postgres.ts';
import { withTimeout } from '../../platform/redis.ts';
import { fieldsOf, placeOf } from '../sale-place.ts';

/** `foreign`: Redis holds a sale of this name that is not ours. `incomplete`: Redis
 * had lost SKUs before it had the record, or others lay there; it has none now, begin again. */
export async function loadSale(
  deps: { db: Queryable; redis: Redis },
  sale: FollowedSale,
  now_ms = Date.now(),
): Promise<'loaded' | 'foreign' | 'incomplete'> {
  const { db, redis } = deps;
  const token = { ...placeOf(sale), epoch: Math.max(sale.epoch, now_ms) };
  const items = await loadRows(db, sale.sale_no);
  for (let at = 0; at < items.length; at += LOAD_ITEMS_MAX) {
    const step = await loadItems(redis, token, items.slice(at, at + LOAD_ITEMS_MAX));
    if (step === 'exists') break;
  }
  if ((await load(redis, token, fieldsOf(sale), items.length)) === 'incomplete') return 'incomplete';
  // What is there now may be from an earlier try, or not ours at all.
  const record_key = saleKeys(token).record;
  const record = await withTimeout(
    redis.hmgetBuffer(record_key, 'route', 'epoch', 'gate_version', 'generation', 'gate'),
    REDIS_CALL_TIMEOUT_MS,
  );
  const [route, epoch, gate_version, generation, gate] = record;
  if (!route?.equals(sale.route) || Number(generation) !== sale.generation) return 'foreign';
  await markLoaded(db, sale.sale_no, {
    epoch: Number(epoch),
    gate_version: Number(gate_version),
    gate: String(gate) as Gate,
  });
  return 'loaded';
}
