import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { saleKeys } from '../../lua/keys.ts';
import { connect } from '../../lua/testing/sale.ts';
import type { Pool } from '../../platform/postgres.ts';
import { setHeartbeat, testLedger } from '../../test/support/ledger.ts';
import { type Rig, rig } from '../../test/support/reconciler.ts';
import { testRedis } from '../../test/support/redis.ts';
import { placeOf } from '../sale-place.ts';
import { trimStream } from './trim-stream.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let redis: Redis;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  redis = connect(testRedis().url);
  await setHeartbeat(db);
});
afterAll(async () => {
  redis.disconnect();
  await ledger.close();
});

const positions = async (sale: Rig) => {
  const entries = await redis.xrange(saleKeys(placeOf(await sale.sale())).stream, '-', '+');
  return entries.map(([id]) => Number(id.split('-')[0]));
};
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('drops what is behind the cursor and old enough, never what the ledger has not ingested', async () => {
  const sale = await rig({ db, redis });
  await sale.settle();
  for (let i = 0; i < 4; i++) await sale.reserve([{}]);
  await sale.settle();
  await wait(60);
  const aged_from = performance.now();
  for (let i = 0; i < 3; i++) await sale.reserve([{}]);
  const row = await sale.sale();
  expect(row.seq).toBe(5);
  // Young ones stay.
  expect(await trimStream(redis, row, 60_000)).toBe(0);
  // Old ones go, but not the one at the cursor, which verification needs, nor any behind it.
  expect(await trimStream(redis, row, 0)).toBe(4);
  expect(await positions(sale)).toEqual([5, 6, 7, 8]);
  expect(await trimStream(redis, row, 0)).toBe(0);
  // By age alone.
  await sale.settle();
  const age_ms = performance.now() - aged_from + 20;
  expect(await trimStream(redis, await sale.sale(), age_ms)).toBe(1);
  expect(await positions(sale)).toEqual([6, 7, 8]);
  await sale.reserve([{}]);
  await sale.settle();
  expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
});

test('drops many in steps', async () => {
  const sale = await rig({ db, redis, items: [{ sku: 'a', qty: 10_000 }] });
  await sale.settle();
  for (let i = 0; i < 25; i++) await Promise.all(Array.from({ length: 100 }, () => sale.reserve([{}])));
  await sale.settle();
  expect(await trimStream(redis, await sale.sale(), 0)).toBe(2_500);
  expect(await positions(sale)).toEqual([2_501]);
});
