/**
 * Why a sale is kept closed. A reason of the first kind is looked at again at every verification and ends when
 * it passes; one of the second kind lasts until somebody acts, because the books themselves may be wrong.
 */

export const PASSING_REASONS = [
  /** Redis has no record of a sale that was loaded: it lost its memory. */
  'no_record',
  /** The record belongs to a sale of another ledger. */
  'foreign_record',
  /** Redis lost its memory once, or may have: only `appendfsync always` can be trusted after a restart. */
  'not_durable',
  'epoch_mismatch',
  'generation_mismatch',
  /** Redis stands before the ledger's cursor. */
  'redis_behind',
  /** The entry at the cursor is not the one the ledger has read. */
  'digest_mismatch',
  /** Applied movements are not between the acknowledged and the sealed ones. */
  'movements_mismatch',
  /** Entries between the cursor and the stream are missing. */
  'stream_gap',
] as const;

export const LASTING_REASONS = [
  /** Redis let in an order that the ledger has no stock for. */
  'order_did_not_fit',
  /** Redis gave units out of sale that the ledger does not have. */
  'reduce_did_not_fit',
  'undecodable_entry',
  /** Redis can't apply the ledger's movements: what they give back it does not hold. */
  'movements_impossible',
] as const;

export type PassingReason = (typeof PASSING_REASONS)[number];
export type LastingReason = (typeof LASTING_REASONS)[number];
export type FenceReason = PassingReason | LastingReason;

export function isLasting(reason: string | null): boolean {
  return reason !== null && (LASTING_REASONS as readonly string[]).includes(reason);
}

/** What a rebuild from the ledger ends: the rest is about something that only a person can decide. */
export const HEALED_BY_REBUILD: readonly FenceReason[] = [...PASSING_REASONS, ...LASTING_REASONS].filter(
  (reason) => reason !== 'foreign_record' && reason !== 'undecodable_entry',
);

export function isHealedByRebuild(reason: string | null): boolean {
  return reason !== null && (HEALED_BY_REBUILD as readonly string[]).includes(reason);
}
