/** Stock for a baseline before its runs, and its books after: a baseline that sells what it has not is no competitor. */
import pg from 'pg';
import { skuName, type World } from '../lab/world.ts';
import { SCHEMA } from './ledger.ts';

/** `units`: rows of one unit each, for the baseline that has those. */
export async function fillBaseline(
  world: World,
  sale: string,
  { qty, units }: { qty: number; units: number },
): Promise<void> {
  await inDatabase(world, async (db) => {
    const { rows } = await db.query(`SELECT to_regclass('baseline_skus') AS found`);
    if (!rows[0].found) await db.query(SCHEMA);
    await db.query('INSERT INTO baseline_skus (sale, sku, stock) VALUES ($1, $2, $3)', [
      sale,
      skuName(0),
      qty,
    ]);
    await db.query('INSERT INTO baseline_units (sale, sku) SELECT $1, $2 FROM generate_series(1, $3)', [
      ...[sale, skuName(0), units],
    ]);
  });
}

export async function whatIsWrong(world: World, sale: string, qty: number): Promise<string[]> {
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
