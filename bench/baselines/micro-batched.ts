/**
 * Postgres behind a batcher like ours: what waits goes in one transaction, decided in code in the order of arrival while the
 * rows of stock are locked, and written in bulk. The best that we know how to do with Postgres alone.
 */
import { randomUUID } from 'node:crypto';
import { priceOrder } from '../../domain/pricing.ts';
import type { Reserve, ReserveOutcome, ReserveRequest } from '../../engine/checkout/port.ts';
import { type Pool, type Queryable, rows, withTransaction } from '../../platform/postgres.ts';
import { accepted, HOLD_MS, type Purchase, purchaseOf, soldOut } from './ledger.ts';

export type MicroBatchOptions = { batch: number; in_flight: number };

type Waiting = { purchase: Purchase; settle: (outcome: ReserveOutcome) => void };

export function reserveMicroBatched(db: Pool, options: MicroBatchOptions): Reserve {
  let queue: Waiting[] = [];
  let in_flight = 0;
  let scheduled = false;

  function schedule(): void {
    if (scheduled || in_flight >= options.in_flight) return;
    scheduled = true;
    setImmediate(flush);
  }

  function flush(): void {
    scheduled = false;
    while (queue.length > 0 && in_flight < options.in_flight) {
      const items = queue.slice(0, options.batch);
      queue = queue.slice(options.batch);
      in_flight += 1;
      void fly(items).finally(() => {
        in_flight -= 1;
        if (queue.length > 0) flush();
      });
    }
  }

  async function fly(items: Waiting[]): Promise<void> {
    const outcomes = await withTransaction(db, (tx) =>
      decide(
        tx,
        items.map(({ purchase }) => purchase),
      ),
    ).catch(() => undefined);
    items.forEach((item, i) => {
      item.settle(outcomes?.[i] ?? { kind: 'unavailable' });
    });
  }

  return (request: ReserveRequest) => {
    const purchase = purchaseOf(request);
    if (!purchase) return Promise.resolve({ kind: 'unknown_sku', sku: request.lines[0]?.sku ?? '' });
    return new Promise((settle) => {
      queue.push({ purchase, settle });
      schedule();
    });
  };
}

const LOCK = {
  name: 'baseline_batch_lock',
  text: `SELECT sku, stock FROM baseline_skus WHERE sale = $1 AND sku = ANY ($2) ORDER BY sku FOR UPDATE`,
};
const KNOWN = {
  name: 'baseline_batch_known',
  text: `SELECT o.id, o.buyer, o.key, o.fingerprint, o.reserved_at, o.expires_at
         FROM unnest($2::text[], $3::text[]) AS asked (buyer, key)
         JOIN baseline_orders o ON o.sale = $1 AND o.buyer = asked.buyer AND o.key = asked.key`,
};
const UNITS = {
  name: 'baseline_batch_units',
  text: `SELECT buyer, units FROM baseline_buyers WHERE sale = $1 AND buyer = ANY ($2)`,
};
const WRITE_STOCK = {
  name: 'baseline_batch_stock',
  text: `UPDATE baseline_skus s SET stock = s.stock - t.qty FROM unnest($2::text[], $3::bigint[]) AS t (sku, qty)
         WHERE s.sale = $1 AND s.sku = t.sku`,
};
const WRITE_UNITS = {
  name: 'baseline_batch_count',
  text: `INSERT INTO baseline_buyers AS b (sale, buyer, units) SELECT $1, * FROM unnest($2::text[], $3::bigint[])
         ON CONFLICT (sale, buyer) DO UPDATE SET units = b.units + excluded.units`,
};
const WRITE_ORDERS = {
  name: 'baseline_batch_orders',
  text: `INSERT INTO baseline_orders (id, sale, buyer, key, fingerprint, lines, total, expires_at)
         SELECT id, $1, buyer, key, fingerprint, lines, total, now() + $8 * interval '1 millisecond'
         FROM unnest($2::text[], $3::text[], $4::text[], $5::bytea[], $6::jsonb[], $7::bigint[])
           AS o (id, buyer, key, fingerprint, lines, total)`,
};

type Taken = Purchase & { fingerprint: Buffer };
type Known = { id: string; fingerprint: Buffer; reserved_at: Date; expires_at: Date };

/** All of one sale; the locked rows of stock make one batch after another. */
async function decide(tx: Queryable, purchases: readonly Purchase[]): Promise<ReserveOutcome[]> {
  const sale = purchases[0]?.request.sale;
  if (!sale) return [];
  const skus = [...new Set(purchases.flatMap(({ lines }) => lines.map(({ sku }) => sku)))].sort();
  const locked = await rows<{ sku: string; stock: number }>(tx, LOCK, [sale.id, skus]);
  const stock = new Map(locked.map((row) => [row.sku, row.stock]));
  const buyers = purchases.map(({ request }) => request.buyer);
  const asked = await rows<Known & { buyer: string; key: string }>(tx, KNOWN, [
    ...[sale.id, buyers, purchases.map(({ request }) => request.key)],
  ]);
  const known = new Map(asked.map((row) => [`${row.buyer} ${row.key}`, row as Known]));
  const counted = await rows<{ buyer: string; units: number }>(tx, UNITS, [sale.id, buyers]);
  const units = new Map(counted.map((row) => [row.buyer, row.units]));
  const now = new Date();
  const times = { reserved_at: now, expires_at: new Date(now.getTime() + HOLD_MS) };

  const taken: Taken[] = [];
  const outcomes = purchases.map((purchase): ReserveOutcome => {
    const { buyer, key } = purchase.request;
    const fingerprint = purchase.request.fingerprint();
    const name = `${buyer} ${key}`;
    const earlier = known.get(name);
    if (earlier) {
      return earlier.fingerprint.equals(fingerprint)
        ? accepted({ ...purchase, id: earlier.id }, earlier, true)
        : { kind: 'idempotency_key_reused' };
    }
    const held = units.get(buyer) ?? 0;
    if (sale.limit > 0 && held + purchase.units > sale.limit) {
      return { kind: 'purchase_limit_reached', limit: sale.limit, held };
    }
    if (purchase.lines.some(({ sku, qty }) => (stock.get(sku) ?? 0) < qty)) return soldOut(purchase).outcome;
    for (const { sku, qty } of purchase.lines) stock.set(sku, (stock.get(sku) ?? 0) - qty);
    units.set(buyer, held + purchase.units);
    const made = { ...purchase, id: randomUUID(), fingerprint };
    known.set(name, { id: made.id, fingerprint, ...times });
    taken.push(made);
    return accepted(made, times, false);
  });
  if (taken.length > 0) await write(tx, sale.id, taken);
  return outcomes;
}

async function write(tx: Queryable, sale: string, taken: readonly Taken[]): Promise<void> {
  const stock = totals(taken.flatMap(({ lines }) => lines.map(({ sku, qty }) => [sku, qty] as const)));
  await rows(tx, WRITE_STOCK, [sale, ...stock]);
  await rows(tx, WRITE_UNITS, [sale, ...totals(taken.map(({ request, units }) => [request.buyer, units]))]);
  await rows(tx, WRITE_ORDERS, [
    sale,
    taken.map(({ id }) => id),
    taken.map(({ request }) => request.buyer),
    taken.map(({ request }) => request.key),
    taken.map(({ fingerprint }) => fingerprint),
    taken.map(({ lines }) => JSON.stringify(lines)),
    taken.map(({ request, lines }) => priceOrder(request.sale.currency, lines).total),
    HOLD_MS,
  ]);
}

/** Names and their sums, as two columns. */
function totals(of: readonly (readonly [string, number])[]): [string[], number[]] {
  const sums = new Map<string, number>();
  for (const [name, count] of of) sums.set(name, (sums.get(name) ?? 0) + count);
  return [[...sums.keys()], [...sums.values()]];
}
