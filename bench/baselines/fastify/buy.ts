/**
 * A purchase as a careful shop with Postgres alone writes it: one transaction that claims the Idempotency-Key, counts what the buyer
 * has, locks the rows of stock (SELECT ... FOR UPDATE), takes the units, and keeps the order and the answer. The rows that
 * everybody wants are locked as late as can be.
 */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Checkout } from './schema.ts';

export type Answer = { status: number; body: unknown; outcome: Outcome };
export type Outcome =
  | 'accepted'
  | 'replayed'
  | 'sold_out'
  | 'unknown_sku'
  | 'unknown_sale'
  | 'purchase_limit_reached'
  | 'idempotency_key_reused';

export type Asked = { buyer: string; key: string; fingerprint: Buffer; body: Checkout };

const HOLD_MS = 600_000;

export async function buy(pool: pg.Pool, asked: Asked): Promise<Answer> {
  const tx = await pool.connect();
  let broken = false;
  try {
    await tx.query('BEGIN');
    const answer = await decide(tx, asked);
    await tx.query(answer.outcome === 'accepted' ? 'COMMIT' : 'ROLLBACK');
    return answer;
  } catch (error) {
    broken = true;
    throw error;
  } finally {
    tx.release(broken);
  }
}

async function decide(tx: pg.PoolClient, asked: Asked): Promise<Answer> {
  const { buyer, key, fingerprint, body } = asked;
  const sale = body.sale_id;
  const claimed = await tx.query({
    name: 'claim',
    text: `INSERT INTO baseline_answers (sale, buyer, key, fingerprint) VALUES ($1, $2, $3, $4)
           ON CONFLICT DO NOTHING RETURNING key`,
    values: [sale, buyer, key, fingerprint],
  });
  if (claimed.rowCount === 0) return firstAnswer(tx, asked);

  const units = body.items.reduce((sum, { qty }) => sum + qty, 0);
  const terms = await tx.query({
    name: 'terms',
    text: 'SELECT currency, limit_per_buyer FROM baseline_sales WHERE id = $1',
    values: [sale],
  });
  if (!terms.rows[0]) return refusal(404, 'unknown_sale');
  const { currency, limit_per_buyer: limit } = terms.rows[0];
  const counted = await tx.query({
    name: 'count',
    text: `INSERT INTO baseline_buyers AS b (sale, buyer, units) VALUES ($1, $2, $3)
           ON CONFLICT (sale, buyer) DO UPDATE SET units = b.units + excluded.units RETURNING units`,
    values: [sale, buyer, units],
  });
  if (limit > 0 && counted.rows[0].units > limit) return refusal(409, 'purchase_limit_reached');

  const wanted = new Map<string, number>();
  for (const { sku, qty } of body.items) wanted.set(sku, (wanted.get(sku) ?? 0) + qty);
  const skus = [...wanted.keys()].sort();
  const locked = await tx.query<{ sku: string; stock: number; price: number }>({
    name: 'lock',
    text: 'SELECT sku, stock, price FROM baseline_skus WHERE sale = $1 AND sku = ANY ($2) ORDER BY sku FOR UPDATE',
    values: [sale, skus],
  });
  if (locked.rows.length < skus.length) return refusal(422, 'unknown_sku');
  const lines = locked.rows.map(({ sku, stock, price }) => ({
    sku,
    stock,
    qty: wanted.get(sku) ?? 0,
    price,
  }));
  if (lines.some(({ stock, qty }) => stock < qty)) return refusal(409, 'sold_out');
  await tx.query({
    name: 'take',
    text: `UPDATE baseline_skus s SET stock = s.stock - t.qty FROM unnest($2::text[], $3::bigint[]) AS t (sku, qty)
           WHERE s.sale = $1 AND s.sku = t.sku`,
    values: [sale, lines.map(({ sku }) => sku), lines.map(({ qty }) => qty)],
  });

  const now = Date.now();
  const order = {
    ...{ order_id: randomUUID(), sale_id: sale, state: 'reserved' },
    items: lines.map(({ sku, qty, price }) => ({ sku, qty, unit_price: price })),
    amounts: { currency, total: lines.reduce((sum, { qty, price }) => sum + qty * price, 0) },
    reservation: {
      expires_at: new Date(now + HOLD_MS).toISOString(),
      server_time: new Date(now).toISOString(),
    },
  };
  await tx.query({
    name: 'order',
    text: `INSERT INTO baseline_orders (id, sale, buyer, key, fingerprint, lines, total, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    values: [
      ...[order.order_id, sale, buyer, key, fingerprint, JSON.stringify(order.items), order.amounts.total],
      order.reservation.expires_at,
    ],
  });
  await tx.query({
    name: 'answer',
    text: 'UPDATE baseline_answers SET answer = $4 WHERE sale = $1 AND buyer = $2 AND key = $3',
    values: [sale, buyer, key, JSON.stringify(order)],
  });
  return { status: 201, body: order, outcome: 'accepted' };
}

/** A refusal is rolled back and not kept: an answer that is there is that of a purchase. */
async function firstAnswer(tx: pg.PoolClient, { buyer, key, fingerprint, body }: Asked): Promise<Answer> {
  const { rows } = await tx.query({
    name: 'first',
    text: 'SELECT fingerprint, answer FROM baseline_answers WHERE sale = $1 AND buyer = $2 AND key = $3',
    values: [body.sale_id, buyer, key],
  });
  if (!rows[0].fingerprint.equals(fingerprint)) return refusal(422, 'idempotency_key_reused');
  return { status: 201, body: rows[0].answer, outcome: 'replayed' };
}

const refusal = (status: number, outcome: Outcome): Answer => ({ status, body: { code: outcome }, outcome });
