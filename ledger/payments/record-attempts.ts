/**
 * The first attempts of checkout-road orders, in bulk, committed before the PSP hears of them. Asked again
 * it returns the attempts that are there already and still open, so a job may run twice.
 *
 * An attempt's id follows from its order, and the provider's idempotency key from the id: a ledger that was restored from
 * an earlier copy and reads the order once more asks for the same payment, not for a second one.
 *
 * $1 order ids   $2 PSP of sales that have none of their own   $3 when the sweep is to look at them, ms from now
 */
import { type Queryable, rows } from '../../platform/postgres.ts';
import { ATTEMPT_COLUMNS, type AttemptRow } from './attempt-row.ts';

const RECORD_ATTEMPTS = {
  name: 'record_attempts',
  text: `
    WITH payable AS MATERIALIZED (
      SELECT id, sale_no, total, currency, payment_method FROM orders
      WHERE id = ANY ($1) AND state = 'reserved' AND payment_method IS NOT NULL
        AND expires_at > (SELECT expiry_horizon())
      ORDER BY id FOR NO KEY UPDATE
    ), made AS (
      INSERT INTO attempts (id, order_id, no, psp, method_type, token, amount, currency, next_look_at)
      SELECT md5('attempt 1 of ' || p.id)::uuid, p.id, 1, coalesce(s.psp, $2), payment_method ->> 'type', payment_method ->> 'token', total, p.currency,
        now() + $3 * interval '1 millisecond'
      FROM payable p JOIN sales s USING (sale_no)
      ON CONFLICT (order_id, no) DO NOTHING
      RETURNING *
    ), open AS (
      SELECT * FROM attempts WHERE order_id = ANY ($1) AND state IN ('pending', 'unknown')
    )
    SELECT ${ATTEMPT_COLUMNS}, a.made
    FROM (SELECT *, true AS made FROM made UNION ALL SELECT *, false FROM open) AS a
    JOIN orders o ON o.id = a.order_id
    ORDER BY a.order_id`,
};

/** `made`: just now, so the PSP can't know of it. */
export type RecordedAttempt = AttemptRow & { made: boolean };

/** Returns the attempts of these orders whose outcome is open. Orders that are over, or paid, have none. */
export function recordAttempts(
  tx: Queryable,
  orderIds: readonly string[],
  options: { psp: string; look_again_ms: number },
): Promise<RecordedAttempt[]> {
  return rows(tx, RECORD_ATTEMPTS, [orderIds, options.psp, options.look_again_ms]);
}
