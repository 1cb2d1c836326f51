/**
 * What people were told, and what they may be told from then on. It knows nothing of how it is done: only what was
 * answered, at which position of the stream, and what faults may have cost.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Reservation, ReserveOutcome } from '../../engine/checkout/port.ts';
import type { Line, Wish } from './commands.ts';

/** Something was answered that must not be. */
export class Broken extends Error {}

export type Told = {
  wish: Wish;
  reservation: Reservation;
  /** Position of its entry in the stream, or a later one. */
  seq: number;
  /** Redis forgot it before the ledger had read it: a fault that the promise table names. */
  may_be_lost: boolean;
};

export type Taken = { key: number; lines: Line[]; taken: Line[]; seq: number; may_be_lost: boolean };
export type Added = { key: number; lines: Line[]; answer: unknown };

export type Journal = {
  told: Map<string, Told>;
  reduced: Map<number, Taken>;
  added: Map<number, Added>;
  /** Whether something new may be sold: what the operators were answered last, whatever Redis has forgotten since. */
  selling: 'yes' | 'no' | 'unknown';
  /** The ledger's epoch when Redis may have lost memory, until the sale was opened under a higher one. */
  amnesia_epoch: number | undefined;
};

export function createJournal(): Journal {
  return {
    ...{ told: new Map(), reduced: new Map(), added: new Map() },
    ...{ selling: 'yes', amnesia_epoch: undefined },
  };
}

export const keyOf = (wish: Wish): string => `${wish.buyer}/${wish.key}`;

const sameWish = (one: Wish, other: Wish): boolean =>
  JSON.stringify([one.road, one.lines]) === JSON.stringify([other.road, other.lines]);

/** Holds an answer against all that were given before, and writes it down. `lost`: an earlier answer to this very call never arrived. */
export function hear(
  journal: Journal,
  wish: Wish,
  outcome: ReserveOutcome,
  seq: number,
  lost: boolean,
): void {
  const known = journal.told.get(keyOf(wish));
  const broken = (what: string) => new Broken(`${keyOf(wish)} ${JSON.stringify(wish.lines)}: ${what}`);
  const sure = known && !known.may_be_lost;
  if (sure && !sameWish(known.wish, wish)) {
    if (!['idempotency_key_reused', 'sale_recovering'].includes(outcome.kind))
      throw broken(`another request under its key is answered ${outcome.kind}`);
    return;
  }
  if (sure && outcome.kind !== 'accepted' && outcome.kind !== 'sale_recovering')
    throw broken(`a retry is answered ${outcome.kind}`);
  // Sent again, a batch that has one key twice finds there what its first run took for the second.
  if (outcome.kind === 'idempotency_key_reused' && !known && !lost) throw broken('its key was never used');
  if (['unavailable', 'overloaded', 'unknown_sku'].includes(outcome.kind)) throw broken(outcome.kind);
  if (outcome.kind === 'sale_closed' || outcome.kind === 'sale_paused') {
    if (journal.selling === 'yes') throw broken(`${outcome.kind}, and no operator has stopped the sale`);
  }
  if (outcome.kind !== 'accepted') return;
  const { replayed, reservation } = outcome;
  if (replayed) {
    if (!known && !lost) throw broken('a replay of what was never answered');
    if (known) {
      if (!sameWish(known.wish, wish)) throw broken('a replay of another request');
      if (!isDeepStrictEqual(known.reservation, reservation))
        throw broken(`first ${JSON.stringify(known.reservation)}, then ${JSON.stringify(reservation)}`);
      known.may_be_lost = false;
      known.seq = Math.max(known.seq, seq);
      return;
    }
  } else if (sure) throw broken('taken twice under one key');
  if (journal.selling === 'no') throw broken('sold behind a gate that was closed');
  journal.told.set(keyOf(wish), { wish, reservation, seq, may_be_lost: false });
}

/** Redis knows nothing any more above `safe_seq`, and the ledger neither. `epoch` is the ledger's. */
export function forget(journal: Journal, safe_seq: number, epoch: number): void {
  journal.amnesia_epoch = epoch;
  for (const told of journal.told.values()) if (told.seq > safe_seq) told.may_be_lost = true;
  for (const taken of journal.reduced.values()) if (taken.seq > safe_seq) taken.may_be_lost = true;
}
