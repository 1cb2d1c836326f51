/**
 * Sales as the reconciler follows them: the sale, and its cursor.
 *
 * FOLLOWED: every sale   CURSOR: $1 sale_no
 */
import type { Gate } from '../../domain/types.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';

export type Cursor = {
  epoch: number;
  opened_epoch: number;
  generation: number;
  identity: string;
  seq: number;
  digest: Buffer | null;
  chain: Buffer;
  applied_n: number;
  sealed_n: number;
  acked_n: number;
  gate_version_seen: number;
  loaded: boolean;
  fenced_reason: string | null;
  /** Where the stream of this generation begins: at this position it has no entry. */
  start_seq: number;
  /** The rebuild that is wanted or under way, by id, and the generations it replaces and makes; null if none is. */
  rebuild: number | null;
  rebuild_from_generation: number | null;
  rebuild_generation: number | null;
};

/** Times in ms since 1970, 0 for none. */
export type FollowedSale = Cursor & {
  sale_no: number;
  tenant: string;
  sale: string;
  route: Buffer;
  salt: Buffer;
  currency: string;
  opens_at_ms: number;
  closes_at_ms: number;
  hold_ms: number;
  limit_per_buyer: number;
  gate: Gate;
  gate_version: number;
};

const FOLLOWED = `
  SELECT s.sale_no, s.tenant, s.id AS sale, s.route, s.salt, s.currency,
    coalesce(extract(epoch FROM s.opens_at) * 1000, 0)::bigint AS opens_at_ms,
    coalesce(extract(epoch FROM s.closes_at) * 1000, 0)::bigint AS closes_at_ms,
    s.hold_ms, s.limit_per_buyer, s.gate, s.gate_version,
    c.epoch, c.opened_epoch, c.generation, c.identity, c.seq, c.digest, c.chain, c.applied_n, c.sealed_n,
    c.acked_n, c.gate_version_seen, c.loaded, c.fenced_reason, c.start_seq,
    r.id AS rebuild, r.from_generation AS rebuild_from_generation, r.generation AS rebuild_generation
  FROM sales s JOIN cursors c USING (sale_no)
  LEFT JOIN rebuilds r ON r.sale_no = s.sale_no AND r.finished_at IS NULL`;

const ALL_SALES = { name: 'followed_sales', text: `${FOLLOWED} ORDER BY s.sale_no` };
const ONE_SALE = { name: 'followed_sale', text: `${FOLLOWED} WHERE s.sale_no = $1` };

const FIND_SALE = { name: 'find_sale', text: `${FOLLOWED} WHERE s.tenant = $1 AND s.id = $2` };

const NEW_SALES = {
  name: 'new_sales',
  text: 'SELECT sale_no FROM sales WHERE sale_no <> ALL ($1::bigint[]) ORDER BY sale_no',
};

export function followedSales(db: Queryable): Promise<FollowedSale[]> {
  return rows(db, ALL_SALES);
}

/** Throws if there is no such sale. */
export async function followedSale(db: Queryable, saleNo: number): Promise<FollowedSale> {
  const [row] = await rows<FollowedSale>(db, ONE_SALE, [saleNo]);
  if (!row) throw new Error(`no sale ${saleNo}`);
  return row;
}

export async function findSale(
  db: Queryable,
  tenant: string,
  sale: string,
): Promise<FollowedSale | undefined> {
  return (await rows<FollowedSale>(db, FIND_SALE, [tenant, sale]))[0];
}

/**
 * Numbers of the sales that are not among `known`. Asked for by what is known, not by "greater than the last":
 * numbers are drawn before a commit, so a smaller one may become visible after a greater one.
 */
export async function salesExcept(db: Queryable, known: readonly number[]): Promise<number[]> {
  return (await rows<{ sale_no: number }>(db, NEW_SALES, [known])).map((row) => row.sale_no);
}
