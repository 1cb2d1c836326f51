/** The simulated Redis against the real one: the same calls of lua/scripts.ts, the same answers, entries and memory. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dayOf } from '../../../domain/ids.ts';
import type { Gate } from '../../../domain/types.ts';
import { bucketKey, saleKeys } from '../../../lua/keys.ts';
import { claim, readEntries, stage, stageBegin, switchOver } from '../../../lua/rebuild-scripts.ts';
import {
  apply,
  fence,
  gate,
  load,
  loadItems,
  readChunk,
  reduce,
  reserve,
  type SaleToken,
  verifyOpen,
} from '../../../lua/scripts.ts';
import { batchOf } from '../../../lua/testing/sale.ts';
import { testRedis } from '../../support/redis.ts';
import { createSimRedisServer, replyError } from './server.ts';
import { directClient } from './testing/direct-client.ts';

const RUNS = Number(process.env.SIM_TWIN_RUNS ?? 60);
const hash16 = (text: string): Buffer => createHash('sha256').update(text).digest().subarray(0, 16);
const route = Buffer.from('route1');

let real: Redis;
let tenant: string;
beforeAll(() => {
  const shared = testRedis();
  tenant = shared.tenant;
  real = new Redis(shared.url, { protocol: 2 });
});
afterAll(() => real.quit());

const line = fc.record({ sku: fc.constantFrom('a', 'b', 'none'), qty: fc.integer({ min: 1, max: 3 }) });
const epoch = fc.integer({ min: -1, max: 1 });
const command = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('reserve' as const),
      epoch,
      late: fc.boolean().filter((late) => !late),
      requests: fc.array(
        fc.record({
          id: fc.nat({ max: 9 }),
          print: fc.nat({ max: 1 }),
          buyer: fc.nat({ max: 2 }),
          lines: fc.array(line, { minLength: 1, maxLength: 2 }),
        }),
        { minLength: 1, maxLength: 5 },
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('apply' as const),
      epoch,
      n: fc.integer({ min: 1, max: 4 }),
      to_available: fc.nat({ max: 2 }),
      from_held: fc.nat({ max: 2 }),
      buyer: fc.nat({ max: 2 }),
      units: fc.nat({ max: 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('reduce' as const),
      epoch,
      id: fc.nat({ max: 2 }),
      print: fc.nat({ max: 1 }),
      qty: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('gate' as const),
      epoch,
      gate: fc.constantFrom('open' as const, 'paused' as const, 'closed' as const, 'open' as const),
      version: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'fence' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('open' as const),
      stale: fc.boolean(),
      gate: fc.constantFrom('open' as const, 'paused' as const),
      gate_version: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('rebuild' as const),
      epoch: fc.integer({ min: -1, max: 2 }),
      wrong: fc.constantFrom(
        'none' as const,
        'none' as const,
        'count' as const,
        'seq' as const,
        'identity' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'load again' as const }) },
);
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;

/** One sale on one Redis. Epoch and generation as its owner knows them. */
type Side = { redis: Redis; token: SaleToken; identity: string };

const fields = (limit: number) => ({
  ...{ gate: 'open' as const, gate_version: 1, opens_at_ms: 0, closes_at_ms: 0, hold_ms: 60_000, limit },
  ...{ salt: Buffer.alloc(32, 1), route, currency: 'USD' },
});

async function open(
  side: Side,
  stale = false,
  gate_now: { gate: Gate; gate_version: number } = { gate: 'open', gate_version: 1 },
): Promise<unknown> {
  const chunk = await readChunk(side.redis, { ...side.token, route }, { after_seq: 1e15, count: 1 });
  if (chunk.kind !== 'chunk') return chunk.kind;
  const next = chunk.epoch + (stale ? 0 : 1);
  const verified = { ...chunk, old_epoch: chunk.epoch };
  const opened = await verifyOpen(side.redis, side.token, verified, { epoch: next, ...gate_now });
  if (opened === 'opened') side.token = { ...side.token, epoch: next, generation: chunk.generation };
  return opened;
}

async function run(side: Side, c: Command, now_ms: number, limit: number): Promise<unknown> {
  const { redis } = side;
  const token = 'epoch' in c ? { ...side.token, epoch: side.token.epoch + c.epoch } : side.token;
  switch (c.do) {
    case 'reserve': {
      const batch = batchOf(
        c.requests.map(({ id, print, buyer, lines }) => ({
          ...{ id: hash16(`id${id}`), fingerprint: hash16(`f${print}`), buyer: hash16(`b${buyer}`), lines },
        })),
      );
      const reply = await reserve(redis, token, batch, { now_ms, not_after_ms: now_ms + 60_000 });
      if (reply.kind === 'refused') return [reply.reason, reply.epoch - side.token.epoch];
      // A replay's record has the time of the take in it.
      const extras = reply.extras.map((extra) =>
        (extra.length > 42 ? extra.subarray(0, 32) : extra).toString('hex'),
      );
      return [reply.statuses, extras, reply.hold_ms, reply.limit, reply.earliest_ms > 0];
    }
    case 'apply': {
      const items = [{ sku: 'a', to_available: c.to_available, from_held: c.from_held }];
      const buyers = c.units > 0 ? [{ buyer_hash: hash16(`b${c.buyer}`), units: c.units }] : [];
      const reply = await apply(redis, token, { n: c.n, items, buyers, earliest_ms: 0 });
      return reply.kind === 'refused' ? reply.reason : reply.kind;
    }
    case 'reduce': {
      const id = hash16(`reduce${c.id}`);
      const request = {
        id,
        fingerprint: hash16(`f${c.print}`),
        request_id: `r${c.id}`,
        items: [{ sku: 'a', qty: c.qty }],
      };
      const reply = await reduce(redis, token, request, now_ms);
      return reply.kind === 'refused' ? reply.reason : reply;
    }
    case 'gate': {
      const reply = await gate(redis, token, c);
      return reply.kind === 'refused' ? reply.reason : reply.kind;
    }
    case 'fence':
      return fence(redis, token);
    case 'open':
      return open(side, c.stale, c);
    case 'load again':
      return load(redis, token, fields(limit), 2);
    case 'rebuild':
      return rebuild(side, token, c.wrong, now_ms, limit);
  }
}

async function rebuild(
  side: Side,
  token: SaleToken,
  wrong: string,
  now_ms: number,
  limit: number,
): Promise<unknown> {
  const { redis } = side;
  const claimed = await claim(redis, { ...token, route });
  if (claimed.kind !== 'claimed') return claimed.kind;
  const next = { ...token, epoch: token.epoch + 1, generation: claimed.generation + 1 };
  const day = dayOf(now_ms);
  const begun = await stageBegin(redis, next, [day - 1, day]);
  const staged = [
    await stage(redis, next, 'available', ['a', 7, 'b', 3]),
    await stage(redis, next, 'held', ['a', 1, 'b', 0]),
    await stage(redis, next, 'catalog', ['a', Buffer.from('a'), 'b', Buffer.from('b')]),
    await stage(redis, next, { day }, [hash16('id0'), Buffer.concat([hash16('f0'), Buffer.alloc(27, 2)])]),
  ];
  const switched = await switchOver(redis, next, {
    identity_now: wrong === 'identity' ? 'x'.repeat(80) : claimed.identity,
    old_seq: wrong === 'seq' ? claimed.seq + 1 : claimed.seq,
    ...{ start_seq: claimed.seq, applied_n: 0, fields: { ...fields(limit), earliest_ms: 0 } },
    counts: { available: wrong === 'count' ? 3 : 2, held: 2, catalog: 2, buyers: 0 },
    days: [{ day: day - 1, records: 0 }, { day, records: 1 }], // biome-ignore format: one line
  });
  if (switched === 'switched') side.token = next;
  return [begun.kind, staged, switched];
}

/** Everything that a sale is, without what two processes can't have in common: names, times. */
async function memory(side: Side, now_ms: number): Promise<unknown> {
  const k = saleKeys(side.token);
  const names = ['epoch', 'generation', 'seq', 'applied_n', 'gate', 'gate_version', 'recovery', 'limit'];
  const entries = await readEntries(side.redis, { ...side.token, route }, { after_seq: 0, count: 100 });
  return {
    record: await side.redis.hmget(k.record, ...names),
    available: await side.redis.hgetall(k.available),
    held: await side.redis.hgetall(k.held),
    // By their counts: the names are bytes that no text holds.
    buyers: Object.values(await side.redis.hgetall(k.buyers)).sort(),
    records: Object.keys(await side.redis.hgetall(bucketKey(side.token, dayOf(now_ms)))).length,
    entries: entries.map(({ seq, verb, applied_n, stock, orders, reduce: taken, gate: set }) => ({
      ...{ seq, verb, applied_n, stock: [...stock].sort((a, b) => a.sku.localeCompare(b.sku)), taken, set },
      orders: orders.map(({ buyer, lines, limit_units }) => ({ buyer, lines, limit_units })),
    })),
  };
}

test(`the same answers and the same memory (${RUNS} sequences)`, { timeout: 300_000 }, async () => {
  let no = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { minLength: 4, maxLength: 20 }),
      fc.constantFrom(0, 3),
      async (commands, limit) => {
        no += 1;
        const server = createSimRedisServer({ now_ms: Date.now, name: () => 'f'.repeat(40), told: () => {} });
        const token = { tenant, sale: `twin-${process.pid}-${no}`, generation: 1, epoch: 1 };
        const sides: Side[] = [real, directClient(server)].map((redis) => ({ redis, token, identity: '' }));
        for (const side of sides) {
          const items = ['a', 'b'].map((sku, position) => ({
            sku,
            position,
            name: sku,
            unit_price: 100,
            qty: 6,
          }));
          await loadItems(side.redis, token, items);
          await load(side.redis, token, fields(limit), items.length);
          await open(side);
        }
        for (const c of commands) {
          const now_ms = Date.now();
          const [theirs, ours] = [
            await run(sides[0], c, now_ms, limit),
            await run(sides[1], c, now_ms, limit),
          ];
          expect(ours).toEqual(theirs);
          expect(await memory(sides[1], now_ms)).toEqual(await memory(sides[0], now_ms));
        }
      },
    ),
    { numRuns: RUNS },
  );
});

test('a script that Redis has forgotten is loaded again', async () => {
  const server = createSimRedisServer({ now_ms: Date.now, name: () => 'f'.repeat(40), told: () => {} });
  server.scriptFlush();
  expect(() => server.command('EVALSHA', ['0'.repeat(40), 0])).toThrow(
    replyError('NOSCRIPT No matching script. Please use EVAL.'),
  );
  expect(await fence(directClient(server), { tenant, sale: 'none', generation: 1 })).toBe('missing');
});
