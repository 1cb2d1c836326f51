/**
 * What the Postgres baselines share: the tables that a careful shop has, and the parts of a purchase that are the same whichever
 * way stock is taken: the answer kept under the buyer's key, the purchase limit, the order row. All of it in one transaction,
 * with the ledger's own durability.
 */
import { randomUUID } from 'node:crypto';
import { mergeLines, priceOrder } from '../../domain/pricing.ts';
import type { PricedLine } from '../../domain/types.ts';
import type { ReserveOutcome, ReserveRequest } from '../../engine/checkout/port.ts';
import { type Pool, type Queryable, rows, withTransaction } from '../../platform/postgres.ts';

export const SCHEMA = `
  CREATE TABLE baseline_sales (
    id text PRIMARY KEY, currency text NOT NULL, limit_per_buyer bigint NOT NULL
  );
  CREATE TABLE baseline_skus (
    sale text, sku text, price bigint NOT NULL, stock bigint NOT NULL CHECK (stock >= 0),
    version bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (sale, sku)
  ) WITH (fillfactor = 10);
  CREATE TABLE baseline_units (
    id bigserial PRIMARY KEY, sale text NOT NULL, sku text NOT NULL, order_id text
  );
  CREATE INDEX baseline_units_free ON baseline_units (sale, sku, id) WHERE order_id IS NULL;
  CREATE TABLE baseline_buyers (
    sale text, buyer text, units bigint NOT NULL, PRIMARY KEY (sale, buyer)
  );
  CREATE TABLE baseline_orders (
    id text PRIMARY KEY, sale text NOT NULL, buyer text NOT NULL, key text NOT NULL, fingerprint bytea NOT NULL,
    lines jsonb NOT NULL, total bigint NOT NULL, reserved_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL, UNIQUE (sale, buyer, key)
  );
  CREATE TABLE baseline_answers (
    sale text, buyer text, key text, fingerprint bytea NOT NULL, answer jsonb, PRIMARY KEY (sale, buyer, key)
  );`;

export type Purchase = { id: string; request: ReserveRequest; lines: PricedLine[]; units: number };

/** Undefined: a SKU that the sale has not. */
export function purchaseOf(request: ReserveRequest): Purchase | undefined {
  const lines: PricedLine[] = [];
  for (const { sku, qty } of mergeLines(request.lines)) {
    const item = request.sale.items.get(sku);
    if (!item) return undefined;
    lines.push({ sku, qty, unit_price: item.unit_price });
  }
  const units = lines.reduce((sum, line) => sum + line.qty, 0);
  return { id: randomUUID(), request, lines, units };
}

/** Why a transaction is rolled back: thrown within, the outcome outside. */
export class Refused extends Error {
  outcome: ReserveOutcome;
  constructor(outcome: ReserveOutcome) {
    super(outcome.kind);
    this.outcome = outcome;
  }
}

/** One purchase in one transaction; `take` takes the stock or throws `Refused`. */
export async function buyInTransaction(
  db: Pool,
  purchase: Purchase,
  take: (tx: Queryable, purchase: Purchase) => Promise<void>,
): Promise<ReserveOutcome> {
  try {
    return await withTransaction(db, async (tx) => {
      const known = await findOrder(tx, purchase);
      if (known) return known;
      await countUnits(tx, purchase);
      await take(tx, purchase);
      return insertOrder(tx, purchase);
    });
  } catch (error) {
    if (error instanceof Refused) return error.outcome;
    // The same key at the same time: the other one was first.
    if ((error as { code?: string }).code === '23505') {
      return (await findOrder(db, purchase)) ?? { kind: 'unavailable' };
    }
    throw error;
  }
}

const FIND = {
  name: 'baseline_find',
  text: `SELECT id, fingerprint, reserved_at, expires_at FROM baseline_orders WHERE sale = $1 AND buyer = $2 AND key = $3`,
};
const COUNT = {
  name: 'baseline_count',
  text: `INSERT INTO baseline_buyers AS b (sale, buyer, units) VALUES ($1, $2, $3)
         ON CONFLICT (sale, buyer) DO UPDATE SET units = b.units + excluded.units
         WHERE $4 = 0 OR b.units + excluded.units <= $4 RETURNING units`,
};
const INSERT = {
  name: 'baseline_insert',
  text: `INSERT INTO baseline_orders (id, sale, buyer, key, fingerprint, lines, total, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8 * interval '1 millisecond') RETURNING reserved_at, expires_at`,
};

type Times = { reserved_at: Date; expires_at: Date };

async function findOrder(db: Queryable, purchase: Purchase): Promise<ReserveOutcome | undefined> {
  const { sale, buyer, key, fingerprint } = purchase.request;
  const [found] = await rows<Times & { id: string; fingerprint: Buffer }>(db, FIND, [sale.id, buyer, key]);
  if (!found) return undefined;
  if (!found.fingerprint.equals(fingerprint())) return { kind: 'idempotency_key_reused' };
  return accepted({ ...purchase, id: found.id }, found, true);
}

async function countUnits(tx: Queryable, { request, units }: Purchase): Promise<void> {
  const { sale, buyer } = request;
  const [counted] = await rows(tx, COUNT, [sale.id, buyer, units, sale.limit]);
  if (!counted || (sale.limit > 0 && units > sale.limit)) {
    throw new Refused({ kind: 'purchase_limit_reached', limit: sale.limit, held: 0 });
  }
}

async function insertOrder(tx: Queryable, purchase: Purchase): Promise<ReserveOutcome> {
  const { request, lines, id } = purchase;
  const { sale, buyer, key, fingerprint } = request;
  const { total } = priceOrder(sale.currency, lines);
  const values = [id, sale.id, buyer, key, fingerprint(), JSON.stringify(lines), total, HOLD_MS];
  const [times] = await rows<Times>(tx, INSERT, values);
  return accepted(purchase, times as Times, false);
}

export const HOLD_MS = 600_000;

export function accepted(purchase: Purchase, times: Times, replayed: boolean): ReserveOutcome {
  const { sale } = purchase.request;
  return {
    kind: 'accepted',
    replayed,
    reservation: {
      order_id: purchase.id,
      sale_id: sale.id,
      items: purchase.lines,
      amounts: priceOrder(sale.currency, purchase.lines),
      reserved_at_ms: times.reserved_at.getTime(),
      expires_at_ms: times.expires_at.getTime(),
    },
  };
}

export function soldOut({ lines }: Purchase): Refused {
  return new Refused({
    kind: 'sold_out',
    short: lines.map(({ sku, qty }) => ({ sku, requested: qty, available: 0 })),
  });
}
