/** The Lua against its pure twin: random commands, the same answers and the same state after each. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  applyModel,
  gateModel,
  type MovementModel,
  reduceModel,
  reserveModel,
  type StockAnswer,
  type StockRequest,
  type StockState,
} from '../domain/stock-model.ts';
import { GATES, type Line } from '../domain/types.ts';
import { testRedis } from '../test/support/redis.ts';
import { saleKeys } from './keys.ts';
import { apply, fence, gate, type ReserveStatus, reduce, reserve } from './scripts.ts';
import { batchOf, connect, openTestSale, openVerified, type TestSale } from './testing/sale.ts';

const STATUS: Record<ReserveStatus, StockAnswer['status']> = {
  a: 'accepted',
  r: 'replay',
  m: 'key_reused',
  k: 'known',
  w: 'whole_wanted',
  t: 'late',
  n: 'not_open',
  c: 'closed',
  p: 'paused',
  l: 'limit',
  s: 'sold_out',
  h: 'temporarily_held',
  u: 'unknown_sku',
};

type Command =
  | { do: 'reserve'; requests: StockRequest[]; late: boolean }
  | { do: 'apply'; batch: MovementModel }
  | { do: 'reduce'; id: string; fingerprint: string; items: Line[] }
  | { do: 'gate'; gate: (typeof GATES)[number]; version: number }
  | { do: 'fence' }
  | { do: 'reopen' };

const hash16 = (text: string): Buffer => createHash('sha256').update(text).digest().subarray(0, 16);
const few = (prefix: string, count: number) => fc.nat({ max: count - 1 }).map((i) => `${prefix}${i}`);

// Small ranges, so that ids, buyers and SKUs meet often. sku3 does not exist.
const line = fc.record({ sku: few('sku', 4), qty: fc.integer({ min: 1, max: 4 }) });
const request = fc.record({
  id: few('id', 24),
  fingerprint: fc.oneof(
    { weight: 9, arbitrary: fc.constant('f0') },
    { weight: 1, arbitrary: fc.constant('f1') },
  ),
  buyer: few('buyer', 6),
  lines: fc.array(line, { minLength: 1, maxLength: 3 }),
  question: fc.nat({ max: 3 }).map((i) => i === 0),
});
const movement = fc.record({
  n: fc.integer({ min: 1, max: 6 }),
  items: fc.uniqueArray(
    fc.record({ sku: few('sku', 3), to_available: fc.nat({ max: 3 }), from_held: fc.nat({ max: 2 }) }),
    { selector: (item) => item.sku, maxLength: 3 },
  ),
  buyers: fc.uniqueArray(fc.record({ buyer: few('buyer', 6), units: fc.nat({ max: 1 }) }), {
    selector: (item) => item.buyer,
    maxLength: 2,
  }),
});
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('reserve' as const),
      requests: fc.array(request, { minLength: 1, maxLength: 8 }),
      late: fc.integer({ min: 0, max: 9 }).map((i) => i === 0),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('apply' as const), batch: movement }) },
  {
    weight: 2,
    arbitrary: fc
      .record({
        do: fc.constant('reduce' as const),
        id: few('reduce', 3),
        items: fc.uniqueArray(line, { selector: (item) => item.sku, minLength: 1, maxLength: 2 }),
      })
      .map((c) => ({ ...c, fingerprint: JSON.stringify(c.items) })),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('gate' as const),
      gate: fc.constantFrom(...GATES, 'open' as const, 'open' as const),
      version: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'fence' as const }) },
  { weight: 3, arbitrary: fc.constant({ do: 'reopen' as const }) },
);

let redis: Redis;
let tenant: string;
beforeAll(() => {
  const shared = testRedis();
  tenant = shared.tenant;
  redis = connect(shared.url);
});
afterAll(() => redis.quit());

/** The command on the model, as one comparable value. */
function onModel(state: StockState, c: Command): unknown {
  const now_ms = Date.now();
  switch (c.do) {
    case 'reserve':
      return reserveModel(state, c.requests, { now_ms, not_after_ms: c.late ? 1 : now_ms + 60_000 });
    case 'apply':
      return applyModel(state, c.batch);
    case 'reduce':
      return reduceModel(state, c);
    case 'gate':
      return gateModel(state, c);
    case 'fence':
      state.recovery = 'recovering';
      return 'fenced';
    case 'reopen':
      state.recovery = 'open';
      return 'open';
  }
}

/** The same command on Redis, in the model's words. */
async function onRedis(sale: TestSale, c: Command): Promise<unknown> {
  const now_ms = Date.now();
  switch (c.do) {
    case 'reserve': {
      const batch = batchOf(
        c.requests.map((r) => ({
          ...r,
          id: hash16(r.id),
          fingerprint: hash16(r.fingerprint),
          buyer: hash16(r.buyer),
        })),
      );
      const reply = await reserve(redis, sale.token, batch, {
        now_ms,
        not_after_ms: c.late ? 1 : now_ms + 60_000,
      });
      if (reply.kind === 'refused') return reply.reason;
      const extras = reply.extras.map(String);
      return [...reply.statuses].map((letter) => {
        const status = STATUS[letter as ReserveStatus];
        if (status === 'replay' || status === 'known') extras.splice(0, 2);
        if (status === 'limit') return { status, held: Number(extras.shift()) };
        if (status === 'sold_out' || status === 'temporarily_held') {
          return { status, available: extras.shift()?.split(',').map(Number) };
        }
        return { status };
      });
    }
    case 'apply': {
      const buyers = c.batch.buyers.map(({ buyer, units }) => ({ buyer_hash: hash16(buyer), units }));
      const reply = await apply(redis, sale.token, { ...c.batch, buyers, earliest_ms: 0 });
      return reply.kind === 'refused' ? reply.reason : reply.kind;
    }
    case 'reduce': {
      const reply = await reduce(
        redis,
        sale.token,
        { id: hash16(c.id), fingerprint: hash16(c.fingerprint), request_id: c.id, items: c.items },
        now_ms,
      );
      if (reply.kind === 'refused') return { status: reply.reason };
      if (!('taken' in reply)) return { status: reply.kind === 'mismatch' ? 'key_reused' : reply.kind };
      return { status: reply.kind, taken: reply.taken.map((item) => item.qty) };
    }
    case 'gate': {
      const reply = await gate(redis, sale.token, c);
      return reply.kind === 'refused' ? reply.reason : reply.kind;
    }
    case 'fence':
      return fence(redis, sale.token);
    case 'reopen':
      sale.token = { ...sale.token, epoch: await openVerified(redis, sale.token, sale.route) };
      return 'open';
  }
}

async function stateOf(sale: TestSale): Promise<unknown> {
  const k = saleKeys(sale.token);
  const [record, available, held, buyers, entries] = await Promise.all([
    redis.hmget(k.record, 'seq', 'applied_n', 'gate', 'gate_version', 'recovery'),
    redis.hgetall(k.available),
    redis.hgetall(k.held),
    redis.hgetallBuffer(k.buyers).then((found) => Object.values(found).map(Number)),
    redis.xlen(k.stream),
  ]);
  return { record, available, held, buyers: buyers.sort(), entries };
}

function modelState(state: StockState): unknown {
  const texts = (counts: Map<string, number>) =>
    Object.fromEntries([...counts].map(([sku, count]) => [sku, String(count)]));
  return {
    record: [state.seq, state.applied_n, state.gate, state.gate_version, state.recovery].map(String),
    available: texts(state.available),
    held: texts(state.held),
    buyers: [...state.buyers.values()].filter((units) => units > 0).sort(),
    entries: state.seq,
  };
}

const RUNS = Number(process.env.TWIN_RUNS ?? 150);

test(`the verbs do what the model says (${RUNS} command sequences)`, { timeout: 120_000 }, async () => {
  const start = fc.record({
    stock: fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 3, maxLength: 3 }),
    limit: fc.constantFrom(0, 3, 5),
  });
  await fc.assert(
    fc.asyncProperty(
      start,
      fc.array(command, { minLength: 5, maxLength: 30 }),
      async ({ stock, limit }, commands) => {
        const items = stock.map((qty, i) => ({ sku: `sku${i}`, qty }));
        const sale = await openTestSale(redis, { tenant, items, limit });
        const state: StockState = {
          gate: 'open',
          gate_version: 1,
          opens_at_ms: 0,
          closes_at_ms: 0,
          limit,
          recovery: 'open',
          seq: 1,
          applied_n: 0,
          available: new Map(items.map(({ sku, qty }) => [sku, qty])),
          held: new Map(items.map(({ sku }) => [sku, 0])),
          buyers: new Map(),
          records: new Map(),
        };
        for (const c of commands) {
          expect(await onRedis(sale, c)).toEqual(onModel(state, c));
          expect(await stateOf(sale)).toEqual(modelState(state));
          for (const count of [...state.available.values(), ...state.held.values()])
            expect(count).toBeGreaterThanOrEqual(0);
        }
      },
    ),
    { numRuns: RUNS },
  );
});
