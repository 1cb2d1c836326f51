/**
 * How far a rebuild has come, and its end. Only the attempt that issued the epoch writes here.
 *
 * NOTE: $1 id  $2 epoch  $3 phase  $4 rows to stage  $5 rows staged
 * DRAINED: $1 id  $2 epoch  $3 entries  $4 orders  $5 entries lost, each more than before
 * FAILED: $1 id  $2 epoch  $3 what happened
 * DONE: $1 id  $2 epoch   HEALED: $1 sale_no  $2 epoch  $3 reasons that are over
 */
import { changes, type Pool, type Queryable, withTransaction } from '../../platform/postgres.ts';

export type RebuildPhase = 'wanted' | 'draining' | 'sealing' | 'staging' | 'switching' | 'done';

const NOTE = {
  name: 'rebuild_note',
  text: `
    UPDATE rebuilds SET phase = $3, rows_total = $4, rows_staged = $5
    WHERE id = $1 AND epoch = $2 AND finished_at IS NULL`,
};

const DRAINED = {
  name: 'rebuild_drained',
  text: `
    UPDATE rebuilds SET entries_drained = entries_drained + $3, orders_drained = orders_drained + $4,
      entries_lost = entries_lost + $5
    WHERE id = $1 AND epoch = $2 AND finished_at IS NULL`,
};

const FAILED = {
  name: 'rebuild_failed',
  text: 'UPDATE rebuilds SET error = $3 WHERE id = $1 AND epoch = $2 AND finished_at IS NULL',
};

const DONE = {
  name: 'rebuild_done',
  text: `
    UPDATE rebuilds SET phase = 'done', finished_at = now(), error = NULL
    WHERE id = $1 AND epoch = $2 AND finished_at IS NULL`,
};

const HEALED = {
  name: 'rebuild_healed',
  text: `
    UPDATE cursors SET fenced_reason = NULL, updated_at = now()
    WHERE sale_no = $1 AND epoch = $2 AND fenced_reason = ANY ($3)`,
};

/** The one attempt that may write: its rebuild and its epoch. */
export type RebuildAttempt = { id: number; epoch: number };

export async function noteProgress(
  db: Queryable,
  { id, epoch }: RebuildAttempt,
  progress: { phase: RebuildPhase; rows_total: number; rows_staged: number },
): Promise<void> {
  await changes(db, NOTE, [id, epoch, progress.phase, progress.rows_total, progress.rows_staged]);
}

export async function noteDrained(
  db: Queryable,
  { id, epoch }: RebuildAttempt,
  drained: { entries: number; orders: number; entries_lost: number },
): Promise<void> {
  await changes(db, DRAINED, [id, epoch, drained.entries, drained.orders, drained.entries_lost]);
}

export async function noteFailed(db: Queryable, { id, epoch }: RebuildAttempt, error: string): Promise<void> {
  await changes(db, FAILED, [id, epoch, error]);
}

/** False: the attempt was not the last word, somebody else rebuilds or has rebuilt. */
export function finishRebuild(
  pool: Pool,
  saleNo: number,
  attempt: RebuildAttempt,
  healed: readonly string[],
): Promise<boolean> {
  return withTransaction(pool, async (tx) => {
    if ((await changes(tx, DONE, [attempt.id, attempt.epoch])) !== 1) return false;
    await changes(tx, HEALED, [saleNo, attempt.epoch, healed]);
    return true;
  });
}
