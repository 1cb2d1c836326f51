/**
 * Begins a rebuild, or one more attempt at it, under an epoch of its own: from now on nobody who looked at the sale
 * before can open it or move its cursor.
 *
 * WANTED: every sale   WANT: $1 sale_no  $2 reason  $3 actor
 * EPOCH: $1 sale_no  $2 the epoch the caller has seen in the ledger  $3 the record's epoch, 0 without a record
 * BEGIN: $1 sale_no  $2 epoch  $3 the cursor's generation
 */
import { type Pool, type Queryable, rows, withTransaction } from '../../platform/postgres.ts';

const WANTED = {
  name: 'rebuilds_wanted',
  text: `SELECT sale_no FROM rebuilds WHERE finished_at IS NULL AND phase = 'wanted'`,
};

const WANT = {
  name: 'rebuild_want',
  text: `
    INSERT INTO rebuilds (sale_no, reason, actor) VALUES ($1, $2, $3)
    ON CONFLICT (sale_no) WHERE finished_at IS NULL DO NOTHING
    RETURNING id`,
};

const EPOCH = {
  name: 'rebuild_epoch',
  text: `
    UPDATE cursors SET
      epoch = greatest(epoch, $3, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) + 1, updated_at = now()
    WHERE sale_no = $1 AND epoch = $2
    RETURNING epoch, generation`,
};

const BEGIN = {
  name: 'rebuild_begin',
  text: `
    UPDATE rebuilds SET phase = 'draining', attempts = attempts + 1, epoch = $2, error = NULL,
      rows_total = 0, rows_staged = 0,
      from_generation = least(from_generation, $3), started_at = coalesce(started_at, now())
    WHERE sale_no = $1 AND finished_at IS NULL
    RETURNING id, attempts, reason, from_generation`,
};

export type RebuildReason = { reason: string; actor: string };

/** Asks for a rebuild unless one is wanted or under way. Returns the id of the new one, if it is one. */
export async function wantRebuild(
  db: Queryable,
  saleNo: number,
  { reason, actor }: RebuildReason,
): Promise<number | undefined> {
  return (await rows<{ id: number }>(db, WANT, [saleNo, reason, actor]))[0]?.id;
}

/** Sales whose rebuild nobody has begun. */
export async function wantedRebuilds(db: Queryable): Promise<number[]> {
  return (await rows<{ sale_no: number }>(db, WANTED)).map((row) => row.sale_no);
}

export type BegunRebuild = {
  id: number;
  attempts: number;
  reason: string;
  from_generation: number;
  epoch: number;
};

/** Undefined: somebody else has issued an epoch since `seen.epoch` was read. */
export function beginRebuild(
  pool: Pool,
  saleNo: number,
  why: RebuildReason,
  seen: { epoch: number; record_epoch: number },
): Promise<BegunRebuild | undefined> {
  return withTransaction(pool, async (tx) => {
    const [issued] = await rows<{ epoch: number; generation: number }>(tx, EPOCH, [
      saleNo,
      seen.epoch,
      seen.record_epoch,
    ]);
    if (!issued) return undefined;
    const { epoch, generation } = issued;
    await wantRebuild(tx, saleNo, why);
    const [begun] = await rows<Omit<BegunRebuild, 'epoch'>>(tx, BEGIN, [saleNo, epoch, generation]);
    if (!begun) throw new Error(`the rebuild of sale ${saleNo} was finished by somebody else`);
    return { ...begun, epoch };
  });
}
