/**
 * An order as its reservation tells it: right from the first millisecond after the 201, while the ledger lags
 * or is down. The order id alone says where to look.
 */
import type { Redis } from 'ioredis';
import { buyerHash, decodeOrderId } from '../../domain/ids.ts';
import { REDIS_CALL_TIMEOUT_MS } from '../../domain/limits.ts';
import { bucketKey, routeKey, saleKeys } from '../../lua/keys.ts';
import { RedisUnavailable, timeMs, withTimeout } from '../../platform/redis.ts';
import type { SaleDirectory } from '../sales/directory.ts';
import { adoptEpoch, type Sale } from '../sales/sale.ts';
import type { Reservation } from './port.ts';
import { recorded } from './reserve.ts';

export type FoundReservation =
  | { kind: 'found'; reservation: Reservation; as_of_ms: number }
  /** No such reservation, or another buyer's, or another tenant's. */
  | { kind: 'unknown' }
  | { kind: 'unavailable' };

export type FindReservation = (order_id: string, tenant: string, buyer: string) => Promise<FoundReservation>;

/** Routes remembered at most; a sale has one. */
const ROUTES_MAX = 100_000;
/** A sale that moves more often than this while it is looked at. */
const LOOKS_MAX = 3;

export function createFindReservation(options: { redis: Redis; sales: SaleDirectory }): FindReservation {
  const { redis, sales } = options;
  const routes = new Map<string, string>();

  async function saleNameOf(route: Buffer): Promise<string | null> {
    const key = routeKey(route);
    const known = routes.get(key);
    if (known) return known;
    const name = await withTimeout(redis.get(key), REDIS_CALL_TIMEOUT_MS);
    if (name && routes.size < ROUTES_MAX) routes.set(key, name);
    return name;
  }

  /** Takes in where the sale's records are now. Throws where no Redis memory can be asked. */
  async function hasMoved(sale: Sale): Promise<boolean> {
    const reading = redis.hmget(saleKeys(sale.token).record, 'epoch', 'generation', 'recovery');
    const [epoch, generation, recovery] = await withTimeout(reading, REDIS_CALL_TIMEOUT_MS);
    if (!epoch || recovery !== 'open' || Number(epoch) < sale.token.epoch) {
      throw new RedisUnavailable('the sale is being checked');
    }
    const moved = Number(generation) !== sale.token.generation;
    adoptEpoch(sale, { epoch: Number(epoch), generation: Number(generation) });
    return moved;
  }

  async function look(order_id: string, tenant: string, buyer: string, looks = 1): Promise<FoundReservation> {
    if (looks > LOOKS_MAX) return { kind: 'unavailable' };
    const parts = decodeOrderId(order_id);
    if (!parts) return { kind: 'unknown' };
    try {
      const name = await saleNameOf(parts.route);
      if (!name?.startsWith(`${tenant}:`)) return { kind: 'unknown' };
      const answer = await sales.get(tenant, name.slice(tenant.length + 1));
      if (answer.kind !== 'sale') return { kind: answer.kind === 'unknown' ? 'unknown' : 'unavailable' };
      const { sale } = answer;
      const [bytes, time] = await withTimeout(
        Promise.all([redis.hgetBuffer(bucketKey(sale.token, parts.day), parts.hash), redis.time()]),
        REDIS_CALL_TIMEOUT_MS,
      );
      // A rebuild writes all records anew, elsewhere: whoever looked where they were has not looked.
      if (!bytes && (await hasMoved(sale))) return look(order_id, tenant, buyer, looks + 1);
      // A reduce leaves a record in the same bucket; it has no buyer, so it belongs to nobody here.
      if (!bytes?.subarray(16, 32).equals(buyerHash(sale.salt, buyer))) return { kind: 'unknown' };
      return {
        kind: 'found',
        reservation: recorded(sale, parts.hash, parts.day, bytes),
        as_of_ms: timeMs(time),
      };
    } catch {
      return { kind: 'unavailable' };
    }
  }

  return (order_id, tenant, buyer) => look(order_id, tenant, buyer);
}
