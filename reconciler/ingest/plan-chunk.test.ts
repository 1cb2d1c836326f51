import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { StreamEntry, StreamOrder } from '../../lua/entries.ts';
import { type ChunkContext, chainDigest, planChunk } from './plan-chunk.ts';

const digest = (seq: number) => createHash('sha256').update(String(seq)).digest();

function order(id: string, qty = 1, change: Partial<StreamOrder> = {}): StreamOrder {
  return {
    order_id: id,
    buyer: id,
    buyer_hash: Buffer.alloc(16, id),
    fingerprint: Buffer.alloc(16),
    road: 'checkout',
    limit_units: qty,
    lines: [{ sku: 'a', qty, unit_price: 10 }],
    amounts: { currency: 'USD', subtotal: qty * 10, discount: 0, shipping: 0, tax: 0, total: qty * 10 },
    payment_method: null,
    shipping_address: null,
    contact: null,
    reserved_at_ms: 1_000_000,
    expires_at_ms: 1_600_000,
    ...change,
  };
}

function entry(seq: number, orders: StreamOrder[], change: Partial<StreamEntry> = {}): StreamEntry {
  return {
    seq,
    verb: 'reserve',
    at_ms: 1_000_000,
    applied_n: 0,
    stock: [],
    orders,
    digest: digest(seq),
    ...change,
  };
}

const context = (change: Partial<ChunkContext> = {}): ChunkContext => ({
  now_ms: 1_000_000,
  grace_ms: 30_000,
  chain: Buffer.alloc(0),
  stock: [
    { sku: 'a', total: 10, reserved: 2, sold: 3 },
    { sku: 'b', total: 1, reserved: 0, sold: 0 },
  ],
  known: new Set(),
  ...change,
});

describe('fit', () => {
  test('is decided in entry order, up to the last unit', () => {
    const plan = planChunk(
      [entry(1, [order('o1', 3), order('o2', 3)]), entry(2, [order('o3', 2)])],
      context(),
    );
    expect(plan.orders.map((o) => [o.order_id, o.state, o.cause, o.seq])).toEqual([
      ['o1', 'reserved', 'checkout', 1],
      ['o2', 'rejected', 'did_not_fit', 1],
      ['o3', 'reserved', 'checkout', 2],
    ]);
    expect(plan).toMatchObject({
      rejected: 1,
      fenced_reason: 'order_did_not_fit',
      to_authorize: ['o1', 'o3'],
      seq: 2,
    });
    expect(plan.stock).toMatchObject([
      { sku: 'a', reserved: 5, taken: 0 },
      { sku: 'b', reserved: 0 },
    ]);
  });

  test('takes all lines of an order or none, lines of one SKU together', () => {
    const lines = (...pairs: [string, number][]) => ({
      lines: pairs.map(([sku, qty]) => ({ sku, qty, unit_price: 1 })),
    });
    const plan = planChunk(
      [
        entry(1, [
          order('o1', 1, lines(['a', 5], ['b', 2])),
          order('o2', 1, lines(['a', 3], ['a', 3])),
          order('o3', 5),
        ]),
      ],
      context(),
    );
    expect(plan.orders.map((o) => o.state)).toEqual(['rejected', 'rejected', 'reserved']);
    expect(plan.stock).toMatchObject([
      { sku: 'a', reserved: 5 },
      { sku: 'b', reserved: 0 },
    ]);
  });

  test('an order for what the ledger does not know is rejected, and moves only what it knows', () => {
    const lines = [
      { sku: 'x', qty: 1, unit_price: 1 },
      { sku: 'a', qty: 1, unit_price: 1 },
    ];
    const plan = planChunk([entry(1, [order('o1', 1, { lines, limit_units: 2 })])], context());
    expect(plan.orders[0].state).toBe('rejected');
    expect(plan.movements).toMatchObject([{ sku: 'a', to_available: 0, from_held: 1, buyer_units: 2 }]);
  });

  test('a rejected order gives held and limit back, not the units: they never were', () => {
    const plan = planChunk([entry(1, [order('o1', 6)])], context());
    expect(plan.movements).toEqual([
      {
        order_id: 'o1',
        sku: 'a',
        to_available: 0,
        from_held: 6,
        buyer_hash: Buffer.alloc(16, 'o1'),
        buyer_units: 6,
        cause: 'rejected',
      },
    ]);
  });
});

test('an order that is known already, or twice in the chunk, gives its second take back whole', () => {
  const plan = planChunk(
    [entry(1, [order('old', 2), order('o1', 1)]), entry(2, [order('o1', 1)])],
    context({ known: new Set(['old']) }),
  );
  expect(plan.orders.map((o) => o.order_id)).toEqual(['o1']);
  expect(plan.movements).toMatchObject([
    { order_id: 'old', sku: 'a', to_available: 2, from_held: 2, buyer_units: 2, cause: 'replayed' },
    { order_id: 'o1', sku: 'a', to_available: 1, from_held: 1, buyer_units: 1 },
  ]);
  expect(plan).toMatchObject({ replayed: 2, rejected: 0, fenced_reason: null, to_authorize: ['o1'] });
  expect(plan.stock[0].reserved).toBe(1);
});

describe('reduce', () => {
  const reduce = (seq: number, qty: number) =>
    entry(seq, [], { verb: 'reduce', reduce: { request_id: 'k', taken: [{ sku: 'a', qty }] } });

  test('lowers the total by what was taken, and answers the operator', () => {
    const plan = planChunk([reduce(1, 4), entry(2, [order('o1', 1)])], context());
    expect(plan.stock[0]).toMatchObject({ taken: 4, reserved: 1 });
    expect(plan.answers).toEqual([{ key: 'k', answer: { items: [{ sku: 'a', qty: 4 }] } }]);
    expect(plan.fenced_reason).toBeNull();
  });

  test('that does not fit lowers it by what fits, and fences', () => {
    const plan = planChunk([reduce(1, 6)], context());
    expect(plan.stock[0].taken).toBe(5);
    expect(plan.fenced_reason).toBe('reduce_did_not_fit');
  });
});

describe('deadlines', () => {
  const left = (now_ms: number, change: Partial<StreamOrder> = {}) =>
    planChunk([entry(1, [order('o1', 1, change)])], context({ now_ms })).orders[0].left_ms;

  test('carry the time left by the Redis clock', () => expect(left(1_200_000)).toBe(400_000));
  test('leave the grace at least', () => {
    expect(left(1_590_000)).toBe(30_000);
    expect(left(9_000_000)).toBe(30_000);
  });
  test('leave the whole hold where that is shorter than the grace', () => {
    expect(left(9_000_000, { expires_at_ms: 1_005_000 })).toBe(5_000);
  });
});

test('keeps what Redis told last, the highest gate, the last applied n, digest and chain', () => {
  const told = (available: number, held: number) => [{ sku: 'a', available, held }];
  const plan = planChunk(
    [
      entry(7, [], { stock: told(5, 1), applied_n: 1 }),
      entry(8, [], { verb: 'gate', gate: { gate: 'paused', version: 4 }, applied_n: 1 }),
      entry(9, [], { verb: 'apply', stock: told(6, 0), applied_n: 2 }),
    ],
    context(),
  );
  expect(plan).toMatchObject({ seq: 9, applied_n: 2, gate_version: 4, digest: digest(9) });
  expect(plan.gates).toEqual([{ seq: 8, gate: 'paused', version: 4, at_ms: 1_000_000 }]);
  expect(plan.stock).toMatchObject([
    { sku: 'a', told_available: 6, told_held: 0 },
    { sku: 'b', told_available: null },
  ]);
  const chain = [7, 8, 9].reduce<Buffer>((so_far, seq) => chainDigest(so_far, digest(seq)), Buffer.alloc(0));
  expect(plan.chain).toEqual(chain);
});

test('changes nothing it was given', () => {
  const given = context();
  planChunk([entry(1, [order('o1', 3)])], given);
  expect(given.stock).toEqual(context().stock);
  expect(given.known.size).toBe(0);
});
