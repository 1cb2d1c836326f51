import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ATTEMPT_EDGES, ATTEMPT_STATES } from '../domain/attempt-machine.ts';
import {
  canTransition,
  ORDER_EDGES,
  ORDER_STATES,
  type OrderState,
  STOCK_OF_STATE,
} from '../domain/order-machine.ts';
import type { Pool } from '../platform/postgres.ts';
import { ledgerOrders, ledgerSale, stockOf, testLedger } from '../test/support/ledger.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
});
afterAll(() => ledger.close());

/** What one unit does on an edge, from what it counts as before and after. */
function effects(from: OrderState, to: OrderState, restock: boolean) {
  const [was, becomes] = [STOCK_OF_STATE[from], restock ? 'released' : STOCK_OF_STATE[to]];
  const change = (kind: string) => Number(becomes === kind) - Number(was === kind);
  return {
    reserved: change('reserved'),
    sold: change('sold'),
    to_available: Number(becomes === 'released'),
    from_held: Number(was === 'reserved' && becomes !== 'reserved'),
  };
}

describe('the tables of the machines', () => {
  test('order_transitions are the edges of the domain, with the stock each moves', async () => {
    const { rows } = await db.query('SELECT * FROM order_transitions ORDER BY from_state, to_state, restock');
    const edges = ORDER_STATES.flatMap((from) =>
      ORDER_EDGES[from].flatMap((to) =>
        (to === 'refunded' ? [false, true] : [false]).map((restock) => ({
          ...{ from_state: from, to_state: to, restock },
          ...effects(from, to, restock),
        })),
      ),
    );
    const name = (edge: (typeof edges)[number]) => `${edge.from_state} ${edge.to_state} ${edge.restock}`;
    edges.sort((a, b) => (name(a) < name(b) ? -1 : 1));
    expect(rows).toEqual(edges);
  });

  test('attempt_transitions are the edges of the domain', async () => {
    const { rows } = await db.query('SELECT from_state, to_state FROM attempt_transitions');
    const sort = (list: { from_state: string; to_state: string }[]) =>
      list.map((edge) => `${edge.from_state} ${edge.to_state}`).sort();
    const edges = ATTEMPT_STATES.flatMap((from) =>
      ATTEMPT_EDGES[from].map((to) => ({ from_state: from, to_state: to })),
    );
    expect(sort(rows)).toEqual(sort(edges));
  });
});

/** Brings a new order to `state` along edges. */
const ROADS: Record<string, OrderState[]> = {
  reserved: [],
  authorized: ['authorized'],
  confirmed: ['authorized', 'confirmed'],
  shipped: ['authorized', 'confirmed', 'shipped'],
  delivered: ['authorized', 'confirmed', 'shipped', 'delivered'],
  expired: ['expired'],
  payment_failed: ['payment_failed'],
  canceled: ['canceled'],
  refunded: ['authorized', 'confirmed', 'refunded'],
};
const setState = (ids: string[], state: string) =>
  db.query({
    text: `UPDATE orders SET state = $2, cause = 'test', actor = 'test' WHERE id = ANY ($1)`,
    values: [ids, state],
  });

describe('every change of an order', () => {
  test('that is no edge is refused by SQL, every other one leaves its event', async () => {
    const sale = await ledgerSale(db, { items: [{ sku: 'a', qty: 1000 }] });
    for (const [from, road] of Object.entries(ROADS)) {
      for (const to of ORDER_STATES.filter((state) => state !== from)) {
        const [id] = await ledgerOrders(db, sale, [{}]);
        for (const state of road) await setState([id], state);
        const attempt = setState([id], to);
        if (!canTransition(from as OrderState, to)) {
          await expect(attempt, `${from} -> ${to}`).rejects.toMatchObject({
            constraint: 'order_transitions',
          });
          continue;
        }
        await attempt;
        const { rows } = await db.query({
          text: 'SELECT from_state, to_state, cause, actor FROM order_events WHERE order_id = $1 ORDER BY id DESC LIMIT 1',
          values: [id],
        });
        expect(rows).toEqual([{ from_state: from, to_state: to, cause: 'test', actor: 'test' }]);
      }
    }
  });

  test('a statement that moves one order rightly and one wrongly changes neither', async () => {
    const sale = await ledgerSale(db);
    const ids = await ledgerOrders(db, sale, [{}, {}]);
    await setState([ids[0]], 'authorized');
    await expect(setState(ids, 'confirmed')).rejects.toThrow(
      `order ${ids[1]} may not go from reserved to confirmed`,
    );
    expect(await stockOf(db, sale.sale_no)).toMatchObject({ a: { reserved: 2, sold: 0 } });
  });

  test('an order can only begin as reserved or rejected', async () => {
    const sale = await ledgerSale(db);
    const [id] = await ledgerOrders(db, sale, [{}]);
    const copy = db.query({
      text: `INSERT INTO orders (id, state, sale_no, tenant, buyer, buyer_hash, fingerprint, road, currency, subtotal,
               discount, shipping, tax, total, reserved_at, first_expires_at, expires_at, limit_units, seq, cause, actor)
             SELECT 'copy', 'confirmed', sale_no, tenant, buyer, buyer_hash, fingerprint, road, currency, subtotal,
               discount, shipping, tax, total, reserved_at, first_expires_at, expires_at, limit_units, seq, cause, actor
             FROM orders WHERE id = $1`,
      values: [id],
    });
    await expect(copy).rejects.toThrow('begins as reserved or rejected');
  });

  test('moves counters and gives back what the edge says, once, for many orders of several SKUs', async () => {
    const sale = await ledgerSale(db);
    const lines = [
      { sku: 'a', qty: 2 },
      { sku: 'b', qty: 1 },
    ];
    const ids = await ledgerOrders(db, sale, [
      { buyer: 'x', lines },
      { buyer: 'y', lines },
      { buyer: 'z', lines: [lines[0]], limit_units: 0 },
    ]);
    const moved = async () => {
      const { rows } = await db.query({
        text: `SELECT order_id, sku, to_available, from_held, buyer_units, buyer_hash IS NOT NULL AS buyer
               FROM movements WHERE sale_no = $1 ORDER BY id`,
        values: [sale.sale_no],
      });
      await db.query({ text: 'DELETE FROM movements WHERE sale_no = $1', values: [sale.sale_no] });
      return rows;
    };
    const movement = (
      order_id: string,
      sku: string,
      to_available: number,
      from_held: number,
      buyer_units: number,
    ) => ({
      order_id,
      sku,
      to_available,
      from_held,
      buyer_units,
      buyer: buyer_units > 0,
    });
    await setState(ids, 'authorized');
    expect(await moved()).toEqual([]);
    expect(await stockOf(db, sale.sale_no)).toMatchObject({
      a: { reserved: 6, sold: 0 },
      b: { reserved: 2, sold: 0 },
    });

    await setState([ids[0], ids[1]], 'confirmed');
    expect(await stockOf(db, sale.sale_no)).toMatchObject({
      a: { reserved: 2, sold: 4 },
      b: { reserved: 0, sold: 2 },
    });
    expect((await moved()).sort((p, q) => (p.order_id + p.sku < q.order_id + q.sku ? -1 : 1))).toEqual(
      [ids[0], ids[1]].sort().flatMap((id) => [movement(id, 'a', 0, 2, 0), movement(id, 'b', 0, 1, 0)]),
    );

    await setState([ids[0], ids[2]], 'canceled');
    expect(await stockOf(db, sale.sale_no)).toMatchObject({
      a: { reserved: 0, sold: 2 },
      b: { reserved: 0, sold: 1 },
    });
    expect(await moved()).toEqual(
      expect.arrayContaining([
        movement(ids[0], 'a', 2, 0, 3),
        movement(ids[0], 'b', 1, 0, 0),
        movement(ids[2], 'a', 2, 2, 0),
      ]),
    );
    // The same state again is no transition.
    await setState([ids[0]], 'canceled');
    expect(await moved()).toEqual([]);
  });

  test('that gives stock back wants the money back too', async () => {
    const sale = await ledgerSale(db);
    const ids = await ledgerOrders(db, sale, [{}, {}, {}]);
    await db.query({
      text: `INSERT INTO attempts (order_id, no, psp, method_type, token, amount, currency, state)
             SELECT id, 1, 'sandbox', 'card', 'pm_ok', total, currency, s.attempt
             FROM unnest($1::text[], ARRAY['pending', 'authorized', 'declined']) AS s (id, attempt)
             JOIN orders USING (id)`,
      values: [ids],
    });
    const wanted = async () => {
      const { rows } = await db.query({
        text: 'SELECT state, reversal_wanted FROM attempts WHERE order_id = ANY ($1) ORDER BY state',
        values: [ids],
      });
      return rows.map((row) => [row.state, row.reversal_wanted]);
    };
    await setState([ids[1]], 'authorized');
    expect(await wanted()).toEqual([
      ['authorized', false],
      ['declined', false],
      ['pending', false],
    ]);
    await setState(ids, 'expired');
    expect(await wanted()).toEqual([
      ['authorized', true],
      ['declined', false],
      ['pending', true],
    ]);
    await expect(db.query('UPDATE attempts SET reversal_wanted = false')).rejects.toThrow(
      'a reversal stays wanted',
    );
  });

  test('oversell is impossible for the ledger whatever a statement says', async () => {
    const sale = await ledgerSale(db, { items: [{ sku: 'a', qty: 1 }] });
    await ledgerOrders(db, sale, [{}]);
    await expect(ledgerOrders(db, sale, [{}])).rejects.toMatchObject({
      constraint: 'stock_is_never_oversold',
    });
  });
});

test('an attempt goes along its edges only, and an order has one live attempt at most', async () => {
  const sale = await ledgerSale(db, { items: [{ sku: 'a', qty: 1000 }] });
  for (const from of ATTEMPT_STATES) {
    for (const to of ATTEMPT_STATES.filter((state) => state !== from)) {
      const [id] = await ledgerOrders(db, sale, [{}]);
      await db.query({
        text: `INSERT INTO attempts (order_id, no, psp, method_type, token, amount, currency, state)
               VALUES ($1, 1, 'sandbox', 'card', 'pm_ok', 1000, 'USD', $2)`,
        values: [id, from],
      });
      const change = db.query({
        text: 'UPDATE attempts SET state = $2 WHERE order_id = $1',
        values: [id, to],
      });
      if ((ATTEMPT_EDGES[from] as readonly string[]).includes(to)) await change;
      else
        await expect(change, `${from} -> ${to}`).rejects.toMatchObject({ constraint: 'attempt_transitions' });
    }
  }
  const [id] = await ledgerOrders(db, sale, [{}]);
  const insert = (no: number) =>
    db.query({
      text: `INSERT INTO attempts (order_id, no, psp, method_type, token, amount, currency)
             VALUES ($1, $2, 'sandbox', 'card', 'pm_ok', 1000, 'USD')`,
      values: [id, no],
    });
  await insert(1);
  await expect(insert(2)).rejects.toMatchObject({ constraint: 'attempts_one_live' });
});
