/** A sale that a rebuild has moved to the next generation, for an engine that has heard nothing of it. */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { dayOf } from '../../domain/ids.ts';
import { bucketKey, type SalePlace, saleKeys } from '../../lua/keys.ts';
import { connect, openTestSale } from '../../lua/testing/sale.ts';
import { testRedis } from '../../test/support/redis.ts';
import { createSaleDirectory } from '../sales/directory.ts';
import { readSale } from '../sales/read-sale.ts';
import type { Sale } from '../sales/sale.ts';
import { createFindReservation, type FindReservation } from './find-reservation.ts';
import { createReserve } from './reserve.ts';

const { url, tenant } = testRedis();
let redis: Redis;
beforeAll(() => {
  redis = connect(url);
});
afterAll(() => {
  redis.disconnect();
});

const ignore = { batch: () => {}, pending: () => {}, failed: () => {} };
let sale: Sale;
let order_id: string;
let find: FindReservation;
beforeEach(async () => {
  const { token } = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 5 }] });
  const found = await readSale(redis, tenant, token.sale);
  if (!found) throw new Error('no sale');
  const sales = createSaleDirectory({ redis, ledgerHas: () => Promise.resolve(true) });
  await sales.get(tenant, token.sale);
  sale = found;
  const bought = await createReserve({ redis, observe: ignore })({
    ...{ sale, buyer: 'ann', key: randomBytes(12).toString('hex'), fingerprint: () => Buffer.alloc(16) },
    ...{ road: 'checkout', lines: [{ sku: 'a', qty: 1 }], payment_method: { type: 'card', token: 'pm_ok' } },
    ...{ shipping_address: null, contact: null },
  });
  if (bought.kind !== 'accepted') throw new Error(bought.kind);
  order_id = bought.reservation.order_id;
  find = createFindReservation({ redis, sales });
});

/** As a switch leaves it, and the verification after it. */
async function move(place: SalePlace & { epoch: number }): Promise<void> {
  const next = { ...place, generation: place.generation + 1 };
  const [from, to] = [saleKeys(place), saleKeys(next)];
  const today = dayOf(Date.now());
  for (const name of ['available', 'held', 'catalog', 'stream'] as const)
    await redis.rename(from[name], to[name]);
  await redis.rename(bucketKey(place, today), bucketKey(next, today));
  await redis.hset(from.record, 'generation', next.generation, 'epoch', place.epoch + 1);
}

test('its orders are found where they have gone', async () => {
  expect((await find(order_id, tenant, 'ann')).kind).toBe('found');
  await move(sale.token);
  expect((await find(order_id, tenant, 'ann')).kind).toBe('found');
  expect((await find(order_id, tenant, 'bob')).kind).toBe('unknown');
});

test('nobody says that an order is not there while its memory is lost, or being checked', async () => {
  const { record } = saleKeys(sale.token);
  const bucket = bucketKey(sale.token, dayOf(Date.now()));
  await redis.del(bucket);
  expect((await find(order_id, tenant, 'ann')).kind).toBe('unknown');
  await redis.hset(record, 'recovery', 'recovering');
  expect((await find(order_id, tenant, 'ann')).kind).toBe('unavailable');
  await redis.del(record);
  expect((await find(order_id, tenant, 'ann')).kind).toBe('unavailable');
});

test('its catalog is read whole although it is moved while it is read', async () => {
  let moved = false;
  const unlucky = new Proxy(redis, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (name === 'hscanBuffer' && !moved) {
          moved = true;
          await move(sale.token);
        }
        return (value as (...all: unknown[]) => unknown).apply(target, args);
      };
    },
  });
  const read = await readSale(unlucky, tenant, sale.id);
  expect([...(read?.items.keys() ?? [])]).toEqual(['a']);
  expect(read?.token.generation).toBe(2);
});
