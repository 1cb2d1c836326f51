/**
 * Creates a sale with its SKUs and its cursor at the start; the reconciler then loads it into Redis. The
 * same body again finds it, another body for the same id conflicts.
 *
 * SALE: $1 tenant  $2 id  $3 route  $4 salt  $5 currency  $6 opens at  $7 closes at (ms since 1970 or null)
 *   $8 hold_ms  $9 limit per buyer  $10 gate  $11 provider or null  $12 capture  $13 body
 * SKUS: $1 sale_no, then columns: $2 SKUs  $3 names  $4 unit prices  $5 quantities
 * CURSOR: $1 sale_no
 * EXISTING: $1 tenant  $2 id  $3 body
 */
import { randomBytes } from 'node:crypto';
import { ROUTE_BYTES, SALT_BYTES } from '../../domain/ids.ts';
import type { Capture } from '../../domain/types.ts';
import { type Pool, rows, withTransaction } from '../../platform/postgres.ts';

const INSERT_SALE = {
  name: 'insert_sale',
  text: `
    INSERT INTO sales (tenant, id, route, salt, currency, opens_at, closes_at, hold_ms, limit_per_buyer, gate, psp,
      capture, body)
    VALUES ($1, $2, $3, $4, $5, to_timestamp($6::bigint / 1000.0), to_timestamp($7::bigint / 1000.0), $8, $9, $10, $11,
      $12, $13)
    ON CONFLICT (tenant, id) DO NOTHING
    RETURNING sale_no`,
};

const INSERT_SKUS = {
  name: 'insert_skus',
  text: `
    INSERT INTO skus (sale_no, sku, position, name, unit_price, total, told_available)
    SELECT $1, i.sku, i.position - 1, i.name, i.unit_price, i.qty, i.qty
    FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[])
      WITH ORDINALITY AS i (sku, name, unit_price, qty, position)`,
};

const INSERT_CURSOR = { name: 'insert_cursor', text: 'INSERT INTO cursors (sale_no) VALUES ($1)' };

const EXISTING_SALE = {
  name: 'existing_sale',
  text: 'SELECT sale_no, body = $3::jsonb AS same FROM sales WHERE tenant = $1 AND id = $2',
};

export type NewSale = {
  tenant: string;
  id: string;
  currency: string;
  /** ms since 1970. Absent: open now, never closes. */
  opens_at_ms?: number;
  closes_at_ms?: number;
  hold_ms: number;
  /** 0 for none. */
  limit_per_buyer: number;
  /** Absent: the deployment's. */
  psp?: string;
  /** Absent: at once. */
  capture?: Capture;
  items: readonly { sku: string; name: string; unit_price: number; qty: number }[];
  /** The request as it counts for "the same again", a JSON value. */
  body: unknown;
};

/** `same`: it was created before by the same body. `conflict`: by another one. */
export type CreatedSale = { kind: 'created' | 'same'; sale_no: number } | { kind: 'conflict' };

export function createSale(pool: Pool, sale: NewSale): Promise<CreatedSale> {
  return withTransaction(pool, async (tx) => {
    const body = JSON.stringify(sale.body);
    const [made] = await rows<{ sale_no: number }>(tx, INSERT_SALE, [
      sale.tenant,
      sale.id,
      randomBytes(ROUTE_BYTES),
      randomBytes(SALT_BYTES),
      sale.currency,
      sale.opens_at_ms ?? null,
      sale.closes_at_ms ?? null,
      sale.hold_ms,
      sale.limit_per_buyer,
      sale.opens_at_ms === undefined ? 'open' : 'scheduled',
      sale.psp ?? null,
      sale.capture ?? 'at_once',
      body,
    ]);
    if (!made) {
      const [known] = await rows<{ sale_no: number; same: boolean }>(tx, EXISTING_SALE, [
        sale.tenant,
        sale.id,
        body,
      ]);
      return known.same ? { kind: 'same', sale_no: known.sale_no } : { kind: 'conflict' };
    }
    await rows(tx, INSERT_SKUS, [
      made.sale_no,
      sale.items.map((item) => item.sku),
      sale.items.map((item) => item.name),
      sale.items.map((item) => item.unit_price),
      sale.items.map((item) => item.qty),
    ]);
    await rows(tx, INSERT_CURSOR, [made.sale_no]);
    return { kind: 'created', sale_no: made.sale_no };
  });
}
