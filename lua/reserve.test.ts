import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testRedis } from '../test/support/redis.ts';
import { bucketKey, saleKeys } from './keys.ts';
import { apply, gate, type Refusal, type ReserveReply, readChunk, reserve, SCRIPTS } from './scripts.ts';
import { batchOf, connect, openTestSale, type TestRequest, type TestSale } from './testing/sale.ts';

let redis: Redis;
let tenant: string;
beforeAll(() => {
  const shared = testRedis();
  tenant = shared.tenant;
  redis = connect(shared.url);
});
afterAll(() => redis.quit());

const soon = () => ({ now_ms: Date.now(), not_after_ms: Date.now() + 60_000 });

async function send(sale: TestSale, requests: readonly TestRequest[], times = soon()): Promise<ReserveReply> {
  const reply = await reserve(redis, sale.token, batchOf(requests), times);
  if (reply.kind === 'refused') throw new Error(`refused: ${reply.reason}`);
  return reply;
}

async function refusalOf(sale: TestSale, requests: readonly TestRequest[], times = soon()): Promise<Refusal> {
  const reply = await reserve(redis, sale.token, batchOf(requests), times);
  if (reply.kind !== 'refused') throw new Error('not refused');
  return reply;
}

async function availableOf(sale: TestSale): Promise<Record<string, string>> {
  return redis.hgetall(saleKeys(sale.token).available);
}

const want = (sku: string, qty: number, more: Partial<TestRequest> = {}): TestRequest => ({
  id: randomBytes(16),
  fingerprint: Buffer.alloc(16, 1),
  buyer: randomBytes(16),
  lines: [{ sku, qty }],
  ...more,
});

describe('the oversell rule', () => {
  test('takes until nothing is left, within one batch and over several', async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 5 }] });
    expect(
      (
        await send(
          sale,
          Array.from({ length: 4 }, () => want('a', 1)),
        )
      ).statuses,
    ).toBe('aaaa');
    expect(
      (
        await send(
          sale,
          Array.from({ length: 3 }, () => want('a', 1)),
        )
      ).statuses,
    ).toBe('ahh');
    expect(await availableOf(sale)).toEqual({ a: '0' });
  });

  test('takes all lines of a request or none', async () => {
    const sale = await openTestSale(redis, {
      tenant,
      items: [
        { sku: 'a', qty: 5 },
        { sku: 'b', qty: 1 },
      ],
    });
    const both = { lines: [{ sku: 'a', qty: 1 }, { sku: 'b', qty: 1 }] }; // biome-ignore format: one line
    const reply = await send(sale, [want('', 0, both), want('', 0, both)]);
    expect(reply.statuses).toBe('ah');
    expect(reply.extras.map(String)).toEqual(['4,0']);
    expect(await availableOf(sale)).toEqual({ a: '4', b: '0' });
  });

  test('adds up lines that name the same SKU before it decides', async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 3 }] });
    const twice = { lines: [{ sku: 'a', qty: 2 }, { sku: 'a', qty: 2 }] }; // biome-ignore format: one line
    expect((await send(sale, [want('', 0, twice)])).statuses).toBe('s');
    expect(await availableOf(sale)).toEqual({ a: '3' });
  });

  test('tells held from sold out: only what may come back is held', async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 2 }] });
    await send(sale, [want('a', 2)]);
    expect((await send(sale, [want('a', 2), want('a', 3)])).statuses).toBe('hs');
    // Confirmed: the units leave `held` without coming back.
    await apply(redis, sale.token, {
      n: 1,
      items: [{ sku: 'a', to_available: 0, from_held: 2 }],
      buyers: [],
      earliest_ms: 0,
    });
    expect((await send(sale, [want('a', 1)])).statuses).toBe('s');
  });

  test('an unknown SKU takes nothing and breaks nobody else in the batch', async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 2 }] });
    const mixed = { lines: [{ sku: 'a', qty: 1 }, { sku: 'x', qty: 1 }] }; // biome-ignore format: one line
    expect((await send(sale, [want('x', 1), want('', 0, mixed), want('a', 1)])).statuses).toBe('uua');
    expect(await availableOf(sale)).toEqual({ a: '1' });
  });
});

describe('idempotency', () => {
  test('the same request again is a replay with the first record, in one batch and later', async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 5 }] });
    const first = want('a', 1);
    const reply = await send(sale, [first, first]);
    expect(reply.statuses).toBe('ar');
    const later = await send(sale, [first]);
    expect(later.statuses).toBe('r');
    expect(later.extras[1].equals(reply.extras[1])).toBe(true);
    expect(Number(later.extras[0])).toBe(reply.today);
    expect(await availableOf(sale)).toEqual({ a: '4' });
  });

  test('the same key with another request is refused', async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 5 }] });
    const first = want('a', 1);
    await send(sale, [first]);
    expect((await send(sale, [{ ...first, fingerprint: Buffer.alloc(16, 2) }])).statuses).toBe('m');
  });

  test('a replay is answered when the sale is closed, sold out or past its deadline; a refusal is not remembered', async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 1 }] });
    const winner = want('a', 1);
    const loser = want('a', 1);
    expect((await send(sale, [winner, loser])).statuses).toBe('ah');
    await apply(redis, sale.token, {
      n: 1,
      items: [{ sku: 'a', to_available: 1, from_held: 0 }],
      buyers: [],
      earliest_ms: 0,
    });
    expect((await send(sale, [loser])).statuses).toBe('a');
    await gate(redis, sale.token, { version: 2, gate: 'closed' });
    expect(
      (await send(sale, [winner, loser, want('a', 1)], { now_ms: Date.now(), not_after_ms: 1 })).statuses,
    ).toBe('rrt');
  });

  test('finds yesterday and the day before, not three days ago', async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 9 }] });
    const request = want('a', 1);
    const { today } = await send(sale, [request]);
    const record = (await redis.hgetBuffer(bucketKey(sale.token, today), request.id)) ?? '';
    const statuses = [];
    for (const age of [1, 2, 3]) {
      await redis.hdel(bucketKey(sale.token, today - age + 1), request.id);
      await redis.hset(bucketKey(sale.token, today - age), request.id, record);
      statuses.push((await send(sale, [request])).statuses);
    }
    expect(statuses).toEqual(['r', 'r', 'a']);
  });
});

describe('limit, gates, deadline', () => {
  test('a buyer never holds and owns more than the limit, within one batch either', async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 9 }], limit: 2 });
    const buyer = randomBytes(16);
    const reply = await send(sale, [
      want('a', 1, { buyer }),
      want('a', 2, { buyer }),
      want('a', 1, { buyer }),
    ]);
    expect(reply.statuses).toBe('ala');
    expect(reply.limit).toBe(2);
    expect(reply.extras.map(String)).toEqual(['1']);
    expect((await send(sale, [want('a', 1, { buyer })])).statuses).toBe('l');
  });

  test('scheduled opens by the Redis clock, closes_at closes, paused and closed refuse', async () => {
    const at = Date.now();
    const items = [{ sku: 'a', qty: 9 }];
    const early = await openTestSale(redis, { tenant, items, gate: 'scheduled', opens_at_ms: at + 60_000 });
    const late = await openTestSale(redis, { tenant, items, gate: 'scheduled', opens_at_ms: at - 1 });
    const over = await openTestSale(redis, { tenant, items, closes_at_ms: at - 1 });
    expect((await send(early, [want('a', 1)])).statuses).toBe('n');
    expect((await send(late, [want('a', 1)])).statuses).toBe('a');
    expect((await send(over, [want('a', 1)])).statuses).toBe('c');
    await gate(redis, late.token, { version: 5, gate: 'paused' });
    expect((await send(late, [want('a', 1)])).statuses).toBe('p');
    expect(await gate(redis, late.token, { version: 5, gate: 'open' })).toEqual({ kind: 'already' });
  });

  test('a batch past its deadline takes nothing', async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 9 }] });
    expect(
      (await send(sale, [want('a', 1)], { now_ms: Date.now(), not_after_ms: Date.now() - 1 })).statuses,
    ).toBe('t');
    expect(await availableOf(sale)).toEqual({ a: '9' });
  });
});

describe('the fence', () => {
  test('a sale that is not verified, not known, or of another process takes nothing', async () => {
    const items = [{ sku: 'a', qty: 9 }];
    const unverified = await openTestSale(redis, { tenant, items, unverified: true });
    expect((await refusalOf(unverified, [want('a', 1)])).reason).toBe('recovering');
    const gone = await openTestSale(redis, { tenant, items });
    await redis.del(saleKeys(gone.token).record);
    expect((await refusalOf(gone, [want('a', 1)])).reason).toBe('missing');
    expect(await redis.exists(saleKeys(gone.token).record)).toBe(0);
    const moved = await openTestSale(redis, { tenant, items });
    await redis.hset(saleKeys(moved.token).record, 'identity', 'f'.repeat(80));
    expect((await refusalOf(moved, [want('a', 1)])).reason).toBe('recovering');
    expect(await redis.hget(saleKeys(moved.token).record, 'recovery')).toBe('recovering');
    expect(await availableOf(moved)).toEqual({ a: '9' });
  });

  test('a caller behind is told the epoch; a memory behind its caller is closed', async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 9 }] });
    const behind = { ...sale, token: { ...sale.token, epoch: sale.token.epoch - 1 } };
    expect(await refusalOf(behind, [want('a', 1)])).toMatchObject({
      reason: 'epoch',
      epoch: sale.token.epoch,
    });
    const ahead = { ...sale, token: { ...sale.token, epoch: sale.token.epoch + 1 } };
    expect((await refusalOf(ahead, [want('a', 1)])).reason).toBe('recovering');
    expect((await refusalOf(sale, [want('a', 1)])).reason).toBe('recovering');
  });

  test("a clock days off is told Redis's", async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 9 }] });
    const wrong = { now_ms: Date.now() + 9 * 86_400_000, not_after_ms: Date.now() + 10 * 86_400_000 };
    const refused = await refusalOf(sale, [want('a', 1)], wrong);
    expect(refused.reason).toBe('clock');
    expect(Math.abs((refused.now_ms ?? 0) - Date.now())).toBeLessThan(5_000);
  });
});

describe('an error changes nothing', () => {
  test.each(['available', 'held', 'buyers', 'stream'] as const)('%s of a wrong type', async (name) => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 9 }], limit: 3 });
    const keys = saleKeys(sale.token);
    await redis.set(keys[name], 'not what it should be');
    const before = await Promise.all([
      redis.dump(keys.record),
      redis.dump(keys.available),
      redis.dump(keys.held),
    ]);
    await expect(send(sale, [want('a', 1)])).rejects.toThrow(/WRONGTYPE/);
    const after = await Promise.all([
      redis.dump(keys.record),
      redis.dump(keys.available),
      redis.dump(keys.held),
    ]);
    expect(after).toEqual(before);
  });

  test('msgpack that was cut off at any byte', async () => {
    const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 9 }] });
    const k = saleKeys(sale.token);
    const { pack } = await import('./packing.ts');
    const b = batchOf([want('a', 1)]);
    const whole = pack([b.skus, b.lines, b.answer_lengths, b.payload_lengths]);
    const day = Math.floor(Date.now() / 86_400_000) - 3;
    const buckets = [0, 1, 2, 3, 4].map((add) => bucketKey(sale.token, day + add));
    const keys = [k.record, k.available, k.held, k.buyers, k.stream, ...buckets];
    for (let length = 0; length < whole.length; length += 1) {
      const args = [
        sale.token.epoch,
        sale.token.generation,
        day,
        Date.now() + 60_000,
        whole.subarray(0, length),
      ];
      await expect(redis.eval(SCRIPTS.reserve.source, keys.length, ...keys, ...args)).rejects.toThrow();
    }
    expect(await availableOf(sale)).toEqual({ a: '9' });
    expect(await redis.hlen(buckets[3])).toBe(0);
  });
});

test('one entry a batch, in sequence, with all the ledger needs', async () => {
  const sale = await openTestSale(redis, { tenant, items: [{ sku: 'a', qty: 9 }], hold_ms: 5_000, limit: 4 });
  const requests = [want('a', 2), want('a', 9), want('a', 1)];
  const reply = await send(sale, requests);
  expect(reply.statuses).toBe('ala');
  const chunk = await readChunk(redis, { ...sale.token, route: sale.route }, { after_seq: 0, count: 10 });
  if (chunk.kind !== 'chunk') throw new Error('no record');
  expect(chunk.entries.map((entry) => [entry.seq, entry.verb])).toEqual([[1, 'load'], [2, 'reserve']]); // biome-ignore format: one line
  const [, entry] = chunk.entries;
  expect(entry.stock).toEqual([{ sku: 'a', available: 6, held: 3 }]);
  expect(entry.orders.map((order) => order.lines)).toEqual([
    [{ sku: 'a', qty: 2, unit_price: 100 }],
    [{ sku: 'a', qty: 1, unit_price: 100 }],
  ]);
  expect(entry.orders[0].expires_at_ms).toBe(reply.now_ms + 5_000);
  expect(chunk.seq).toBe(2);
});
