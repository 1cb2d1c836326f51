/** The truth after a test, read from the ledger's tables, the PSP's journal and the API: not from the code under test. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { inParallel } from '../../../bench/stampede/api.ts';
import type { Final, Sale } from './buyers.ts';
import type { RunningStack } from './stack.ts';

/** Asks again until `check` says true; fails with what was said last. Who is asked may be away for a while. */
export async function eventually<T>(
  what: string,
  patience_ms: number,
  ask: () => T | Promise<T>,
  check: (value: T) => boolean,
): Promise<T> {
  const deadline_ms = Date.now() + patience_ms;
  for (;;) {
    let said: unknown;
    try {
      const value = await ask();
      if (check(value)) return value;
      said = value;
    } catch (error) {
      said = String(error);
    }
    if (Date.now() > deadline_ms) throw new Error(`${what}: still ${JSON.stringify(said)}`);
    await sleep(100);
  }
}

/** All orders of the sale are confirmed and captured, nothing more and nothing less than what buyers were told. */
export async function expectBooksInOrder(
  stack: RunningStack,
  sale: Sale,
  finals: readonly Final[],
  patience_ms = 60_000,
): Promise<void> {
  const accepted = finals.filter(({ status }) => status === 201);
  await eventually(
    'orders by state',
    patience_ms,
    () =>
      stack.sql<{ state: string; n: number }>(
        `SELECT o.state, count(*)::int AS n FROM orders o JOIN sales s USING (sale_no) WHERE s.id = $1 GROUP BY 1`,
        [sale.id],
      ),
    (states) => states.length === 1 && states[0]!.state === 'confirmed' && states[0]!.n === accepted.length,
  );

  const orders = await stack.sql<{ id: string; buyer: string; total: number }>(
    `SELECT o.id, o.buyer, o.total::int AS total FROM orders o JOIN sales s USING (sale_no) WHERE s.id = $1 ORDER BY o.buyer`,
    [sale.id],
  );
  const told = accepted.map(({ order_id, buyer, total }) => ({ id: order_id, buyer: buyer.sub, total }));
  expect(orders).toEqual(told.sort((a, b) => (a.buyer < b.buyer ? -1 : 1)));

  const units = await stack.sql<{ sku: string; sold: number }>(
    `SELECT i.sku, sum(i.qty)::int AS sold FROM orders o JOIN sales s USING (sale_no) JOIN order_items i ON i.order_id = o.id
      WHERE s.id = $1 AND o.state = 'confirmed' GROUP BY 1`,
    [sale.id],
  );
  for (const { sku, sold } of units) expect({ sku, sold }).toEqual({ sku, sold: accepted.length });
  expect(accepted.length).toBeLessThanOrEqual(sale.units);

  await eventually(
    'audit',
    patience_ms,
    () => stack.api.call('GET', `/v1/admin/sales/${sale.id}/audit`, { token: stack.admin }),
    ({ status, body }) => status === 200 && body.balanced === true,
  );

  await eventually(
    'orders not captured once and in full',
    patience_ms,
    () => {
      const payments = stack.payments();
      const captures = (id?: string) =>
        payments.filter(({ order_id, captured }) => order_id === id && captured > 0);
      return told.filter(
        ({ id, total }) =>
          captures(id)
            .map(({ captured }) => captured)
            .join() !== String(total),
      );
    },
    (wrong) => wrong.length === 0,
  );
}

/** Each winner's same request again gives the same order, marked as a replay; GET tells that it is confirmed. */
export async function expectReplays(
  stack: RunningStack,
  finals: readonly Final[],
  body: unknown,
): Promise<void> {
  const accepted = finals.filter(({ status }) => status === 201);
  await inParallel(accepted, 20, async ({ buyer, order_id }) => {
    const token = stack.api.token(buyer.sub, 'buyer');
    const again = await stack.api.call('POST', '/v1/checkout', { token, key: buyer.key, body });
    expect([again.status, again.body.order_id, again.headers.get('idempotent-replayed')]).toEqual([
      201,
      order_id,
      'true',
    ]);
    const order = await stack.api.call('GET', `/v1/orders/${order_id}`, { token });
    expect([order.status, order.body.state]).toEqual([200, 'confirmed']);
  });
}
