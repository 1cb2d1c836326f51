/**
 * An operator's partial refund and what came of it. Found with its attempt; settled under the order's lock. What the
 * attempt says was given back changes here alone, together with the refund that gave it: so what the provider reads
 * beyond it is what this refund has done.
 *
 * FIND: $1 refund id   LOCK: $1 order id
 * REFUND: $1 refund id  $2 state  $3 reference  $4 refusal code  $5 key number  $6 an error was answered
 *   $7 ms until somebody looks again
 * ATTEMPT: $1 attempt id  $2 minor units given back
 * CLAIM: $1 how many at most  $2 for how long they are claimed, ms
 * CLOSE: $1 attempt ids
 */
import { changes, type Pool, type Queryable, rows, withTransaction } from '../../platform/postgres.ts';
import { ATTEMPT_COLUMNS, type AttemptRow } from './attempt-row.ts';
import { REFUND_COLUMNS, type RefundRow } from './refund-row.ts';

const FIND = {
  name: 'find_refund',
  text: `
    SELECT ${REFUND_COLUMNS}, (extract(epoch FROM now() - r.erred_at) * 1000)::float8 AS erred_ms
    FROM refunds r WHERE r.id = $1::uuid`,
};

const ATTEMPT_OF = {
  name: 'attempt_of_refund',
  text: `
    SELECT ${ATTEMPT_COLUMNS} FROM refunds r
    JOIN attempts a ON a.id = r.attempt_id JOIN orders o ON o.id = a.order_id
    WHERE r.id = $1::uuid`,
};

const LOCK = { name: 'settle_refund_lock', text: 'SELECT id FROM orders WHERE id = $1 FOR NO KEY UPDATE' };

const REFUND = {
  name: 'settle_refund',
  text: `
    UPDATE refunds r SET
      state = $2,
      psp_ref = coalesce($3, r.psp_ref),
      refusal_code = $4,
      key_no = greatest(r.key_no, $5::smallint),
      erred_at = CASE
        WHEN $5::smallint > r.key_no THEN CASE WHEN $6 THEN now() END
        WHEN $6 THEN coalesce(r.erred_at, now())
        ELSE r.erred_at
      END,
      tries = r.tries + 1,
      next_look_at = now() + $7 * interval '1 millisecond',
      updated_at = now()
    WHERE r.id = $1::uuid AND r.state = 'wanted'`,
};

const ATTEMPT = {
  name: 'settle_refund_attempt',
  text: `
    UPDATE attempts SET refunded = least(amount, greatest(refunded, $2)), updated_at = now()
    WHERE id = $1::uuid AND state = 'captured'`,
};

const CLAIM = {
  name: 'claim_refunds',
  text: `
    WITH due AS MATERIALIZED (
      SELECT id FROM refunds WHERE state = 'wanted' AND next_look_at <= now()
      ORDER BY next_look_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE refunds r SET next_look_at = now() + $2 * interval '1 millisecond'
    FROM due WHERE r.id = due.id
    RETURNING r.id`,
};

const CLOSE = {
  name: 'close_refunds',
  text: `
    UPDATE refunds SET state = 'refused', refusal_code = 'refunded_in_full', updated_at = now()
    WHERE attempt_id = ANY ($1::uuid[]) AND state = 'wanted'`,
};

/** `erred_ms`: since when the present key is answered with errors, ms ago. */
export type FoundRefund = { refund: RefundRow & { erred_ms: number | null }; attempt: AttemptRow };

export async function findRefund(db: Queryable, id: string): Promise<FoundRefund | undefined> {
  const [refund] = await rows<FoundRefund['refund']>(db, FIND, [id]);
  const [attempt] = refund ? await rows<AttemptRow>(db, ATTEMPT_OF, [id]) : [];
  return refund && attempt ? { refund, attempt } : undefined;
}

export type RefundNews = {
  state: RefundRow['state'];
  psp_ref?: string | null;
  refusal_code?: string | null;
  /** Under which key number it was asked for. */
  key_no: number;
  answered?: boolean;
  /** What the provider reads as given back of the whole payment, where that is to be believed from now on. */
  given_back?: number;
  look_again_ms: number;
};

/** Returns false if the refund was settled before; then nothing is changed. */
export function settleRefund(pool: Pool, refund: RefundRow, news: RefundNews): Promise<boolean> {
  return withTransaction(pool, async (tx) => {
    await rows(tx, LOCK, [refund.order_id]);
    const { state, psp_ref = null, refusal_code = null, key_no, answered = false } = news;
    const values = [refund.id, state, psp_ref, refusal_code, key_no, answered, news.look_again_ms];
    if ((await changes(tx, REFUND, values)) === 0) return false;
    if (news.given_back !== undefined) await changes(tx, ATTEMPT, [refund.attempt_id, news.given_back]);
    return true;
  });
}

/** Refunds whose time to be looked at has come, whatever any queue thinks. */
export async function claimRefunds(
  db: Queryable,
  options: { limit: number; lease_ms: number },
): Promise<string[]> {
  const claimed = await rows<{ id: string }>(db, CLAIM, [options.limit, options.lease_ms]);
  return claimed.map(({ id }) => id);
}

/** The whole payment was given back: what was wanted of it went with it. */
export async function closeRefunds(tx: Queryable, attemptIds: readonly string[]): Promise<void> {
  await changes(tx, CLOSE, [attemptIds]);
}
