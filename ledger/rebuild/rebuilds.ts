/**
 * Rebuilds as operators see them: asked for, and looked at.
 *
 * SALE: $1 tenant  $2 sale   LATEST: $1 sale_no
 */
import { type Pool, type Queryable, rows, withTransaction } from '../../platform/postgres.ts';
import { wantRebuild } from './begin-rebuild.ts';
import type { RebuildPhase } from './progress.ts';

const SALE = {
  name: 'rebuild_sale',
  text: `
    SELECT s.sale_no, c.loaded, c.fenced_reason FROM sales s JOIN cursors c USING (sale_no)
    WHERE s.tenant = $1 AND s.id = $2`,
};

const LATEST = {
  name: 'rebuild_latest',
  text: `
    SELECT id, reason, actor, phase, attempts, generation, epoch, start_seq, entries_drained, orders_drained,
      entries_lost, movements_sealed, rows_total, rows_staged, error, requested_at, started_at, finished_at
    FROM rebuilds WHERE sale_no = $1 ORDER BY sale_no, id DESC LIMIT 1`,
};

export type RebuildRow = {
  id: number;
  reason: string;
  actor: string;
  phase: RebuildPhase;
  attempts: number;
  /** Null until the sale is sealed. */
  generation: number | null;
  epoch: number | null;
  start_seq: number | null;
  entries_drained: number;
  orders_drained: number;
  entries_lost: number;
  movements_sealed: number;
  rows_total: number;
  rows_staged: number;
  error: string | null;
  requested_at: Date;
  started_at: Date | null;
  finished_at: Date | null;
};

export type SaleRebuild = { fenced_reason: string | null; rebuild: RebuildRow | null };

export type RequestedRebuild =
  | ({ kind: 'wanted' } & SaleRebuild)
  | { kind: 'not_found' }
  | { kind: 'not_loaded' };

/** `not_loaded`: Redis has never had it, so there is nothing to rebuild. One that is under way is not begun again. */
export function requestRebuild(
  pool: Pool,
  tenant: string,
  sale: string,
  actor: string,
): Promise<RequestedRebuild> {
  return withTransaction(pool, async (tx): Promise<RequestedRebuild> => {
    const [found] = await rows<SaleRow>(tx, SALE, [tenant, sale]);
    if (!found) return { kind: 'not_found' };
    if (!found.loaded) return { kind: 'not_loaded' };
    await wantRebuild(tx, found.sale_no, { reason: 'operator', actor });
    return { kind: 'wanted', ...(await latest(tx, found)) };
  });
}

/** The rebuild under way, or else the last one. Undefined: there is no such sale. */
export async function findRebuild(
  db: Queryable,
  tenant: string,
  sale: string,
): Promise<SaleRebuild | undefined> {
  const [found] = await rows<SaleRow>(db, SALE, [tenant, sale]);
  return found && latest(db, found);
}

type SaleRow = { sale_no: number; loaded: boolean; fenced_reason: string | null };

async function latest(db: Queryable, { sale_no, fenced_reason }: SaleRow): Promise<SaleRebuild> {
  const [rebuild] = await rows<RebuildRow>(db, LATEST, [sale_no]);
  return { fenced_reason, rebuild: rebuild ?? null };
}
