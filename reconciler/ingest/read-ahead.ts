/**
 * Chunks of one sale's stream, read before they are asked for: while the ledger writes one, the next is read and decoded.
 *
 * What was read ahead is a look at an earlier moment. It is good for its entries, which never change, and for as long as
 * the memory has the epoch that the ledger follows: the cursor's compare-and-set decides as ever. It is never what says that there is nothing to do.
 */
import type { FollowedSale } from '../../ledger/stream/cursor.ts';
import type { Chunk } from '../../lua/scripts.ts';

export type Look = Chunk | { kind: 'missing'; now_ms: number; identity_now: string };

export type ReadAhead = {
  /** The entries that follow the sale's cursor, read ahead or now. Throws what `read` throws. */
  next(sale: FollowedSale): Promise<Look>;
  /** `chunk` is about to be written up to `seq`: what is behind it comes next. */
  prepare(sale: FollowedSale, chunk: Chunk, seq: number): void;
  /** Whatever was read ahead counts no more. */
  forget(): void;
};

/** An older look is none: who knows what has happened since. */
const AGE_MS_MAX = 1_000;

type Ahead = { sale: FollowedSale; after_seq: number; read_ms: number; look: Promise<Look | undefined> };

export function createReadAhead(read: (sale: FollowedSale, after_seq: number) => Promise<Look>): ReadAhead {
  let ahead: Ahead | undefined;

  async function early(sale: FollowedSale): Promise<Chunk | undefined> {
    const before = ahead;
    ahead = undefined;
    if (!before || before.after_seq !== sale.seq || before.sale.epoch !== sale.epoch) return undefined;
    const look = await before.look;
    const age_ms = Date.now() - before.read_ms;
    if (look?.kind !== 'chunk' || look.entries.length === 0 || age_ms > AGE_MS_MAX) return undefined;
    return { ...look, now_ms: look.now_ms + age_ms };
  }

  return {
    next: async (sale) => (await early(sale)) ?? read(sale, sale.seq),
    prepare(sale, chunk, seq) {
      const rest = chunk.entries.filter((entry) => entry.seq > seq);
      const of = { sale, after_seq: seq, read_ms: Date.now() };
      if (rest.length > 0) ahead = { ...of, look: Promise.resolve({ ...chunk, entries: rest }) };
      // What goes wrong here is found again when it is asked for.
      else if (chunk.seq > seq) ahead = { ...of, look: read(sale, seq).catch(() => undefined) };
    },
    forget() {
      ahead = undefined;
    },
  };
}
