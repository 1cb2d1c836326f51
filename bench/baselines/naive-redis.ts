/**
 * SET NX PX for the hold, DECRBY for the stock, and INCRBY to give back what was too much: no script, so three round trips, no
 * limit and a window in which a crash loses the unit. Shown because it is what tutorials teach.
 */
import { Redis } from 'ioredis';
import type { Reserve } from '../../engine/checkout/port.ts';
import { accepted, HOLD_MS, purchaseOf, soldOut } from './ledger.ts';

const stockKey = (sale: string, sku: string) => `baseline:stock:${sale}:${sku}`;
const holdsOf = (sale: string) => `baseline:hold:${sale}:`;

/** Stock before the runs. */
export async function fillNaively(redis_url: string, sale: string, sku: string, qty: number): Promise<void> {
  await withRedis(redis_url, (redis) => redis.set(stockKey(sale, sku), qty));
}

/** The books after them: a hold of one unit for each that was taken. */
export async function whatIsWrongNaively(
  redis_url: string,
  sale: string,
  sku: string,
  qty: number,
): Promise<string[]> {
  return withRedis(redis_url, async (redis) => {
    const taken = qty - Number(await redis.get(stockKey(sale, sku)));
    let holds = 0;
    for await (const keys of redis.scanStream({ match: `${holdsOf(sale)}*`, count: 5_000 }))
      holds += keys.length;
    return taken === holds ? [] : [`the baseline's books: taken ${taken}, held ${holds}`];
  });
}

async function withRedis<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

export function reserveNaively(redis_url: string): Reserve {
  const redis = new Redis(redis_url, { enableAutoPipelining: true });
  return async (request) => {
    const purchase = purchaseOf(request);
    if (!purchase) return { kind: 'unknown_sku', sku: request.lines[0]?.sku ?? '' };
    const { sale, buyer, key } = request;
    const now = new Date();
    const times = { reserved_at: now, expires_at: new Date(now.getTime() + HOLD_MS) };
    const hold = `${holdsOf(sale.id)}${buyer}:${key}`;
    if ((await redis.set(hold, purchase.id, 'PX', HOLD_MS, 'NX')) === null) {
      return accepted({ ...purchase, id: (await redis.get(hold)) ?? '' }, times, true);
    }
    for (const { sku, qty } of purchase.lines) {
      const stock = stockKey(sale.id, sku);
      if ((await redis.decrby(stock, qty)) >= 0) continue;
      await redis.incrby(stock, qty);
      await redis.del(hold);
      return soldOut(purchase).outcome;
    }
    return accepted(purchase, times, false);
  };
}
