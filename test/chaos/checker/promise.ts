/**
 * What a fault may cost. After most of them nothing that was acknowledged may be missing. Redis without its newest
 * memory (an older or cut AOF, FLUSHALL, a replica that was behind) may miss what the ledger did not have yet; so an
 * acknowledged order may be missing only if such a fault came after its acknowledgment, and the ledger had not been seen
 * to be past it before.
 */
import { type Evidence, groupBy } from './evidence.ts';

export type Acknowledged = { sale: string; sent: number; done: number };

/** Answers: may this be missing? */
export function mayBeMissing({ faults, saved }: Evidence): (acknowledged: Acknowledged) => boolean {
  const marks = groupBy(saved, ({ sale }) => sale);
  const losses = faults
    .filter(({ promise }) => promise === 'unsaved')
    .map(({ from, to, lost_from = from, lost_until = to }) => ({
      lost_until,
      // What was answered before a saved order was asked for stands before it in the sale's order of events.
      saved_before: new Map(
        [...marks].map(([sale, seen]) => [
          sale,
          seen.reduce((last, mark) => (mark.at < lost_from ? Math.max(last, mark.sent) : last), 0),
        ]),
      ),
    }));
  return ({ sale, sent, done }) =>
    losses.some(
      ({ lost_until, saved_before }) => sent <= lost_until && done >= (saved_before.get(sale) ?? 0),
    );
}
