/** Stock for a baseline before its runs, and its books after: a baseline that sells what it has not is no competitor. */
import pg from 'pg';
import { skuName, UNIT_PRICE, type World } from '../lab/world.ts';
import { type Baseline, usesPostgres } from './all.ts';
import { SCHEMA } from './ledger.ts';
import { fillNaively, whatIsWrongNaively } from './naive-redis.ts';

type Stock = { qty: number; limit: number };

/** Rows a unit: enough for every run. */
const UNITS = 1_000_000;

/** One SKU of it, the first. */
export async function fillBaseline(
  world: World,
  name: Baseline,
  sale: string,
  { qty, limit }: Stock,
): Promise<void> {
  if (name === 'naive-redis') return fillNaively(world.env.REDIS_URL, sale, skuName(0), qty);
  if (!usesPostgres(name)) return;
  await inDatabase(world, async (db) => {
    const { rows } = await db.query(`SELECT to_regclass('baseline_skus') AS found`);
    if (!rows[0].found) await db.query(SCHEMA);
    await db.query(`INSERT INTO baseline_sales (id, currency, limit_per_buyer) VALUES ($1, 'USD', $2)`, [
      ...[sale, limit],
    ]);
    await db.query('INSERT INTO baseline_skus (sale, sku, price, stock) VALUES ($1, $2, $3, $4)', [
      ...[sale, skuName(0), UNIT_PRICE, qty],
    ]);
    await db.query('INSERT INTO baseline_units (sale, sku) SELECT $1, $2 FROM generate_series(1, $3)', [
      ...[sale, skuName(0), name === 'skip-locked' ? UNITS : 0],
    ]);
  });
}

/** Nothing if what was taken is what was sold. Of `evalsha-each` the world's own books tell. */
export async function whatIsWrong(
  world: World,
  name: Baseline,
  sale: string,
  { qty }: Stock,
): Promise<string[]> {
  if (name === 'evalsha-each') return world.audit([sale]);
  if (name === 'naive-redis') return whatIsWrongNaively(world.env.REDIS_URL, sale, skuName(0), qty);
  return inDatabase(world, async (db) => {
    const { rows } = await db.query(
      `SELECT (SELECT $2 - stock FROM baseline_skus WHERE sale = $1)
         + (SELECT count(*) FROM baseline_units WHERE sale = $1 AND order_id IS NOT NULL) AS taken,
         (SELECT coalesce(sum((lines -> 0 ->> 'qty')::bigint), 0) FROM baseline_orders WHERE sale = $1) AS sold,
         (SELECT coalesce(sum(units), 0) FROM baseline_buyers WHERE sale = $1) AS counted`,
      [sale, qty],
    );
    const { taken, sold, counted } = rows[0];
    if (taken === sold && sold === counted) return [];
    return [`the baseline's books: taken ${taken}, sold ${sold}, counted for buyers ${counted}`];
  });
}

async function inDatabase<T>(world: World, work: (db: pg.Client) => Promise<T>): Promise<T> {
  const db = new pg.Client({ connectionString: world.env.DATABASE_URL });
  await db.connect();
  try {
    return await work(db);
  } finally {
    await db.end();
  }
}
