/**
 * Dead letters are a call for somebody to look. What the sweep, a webhook or a deadline has brought to its end in the
 * meantime needs nobody any more, and is taken out.
 */
import type PgBoss from 'pg-boss';
import { DEAD_LETTER_QUEUE } from '../../payments/jobs/queues.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';

/** $1 queue */
const DEAD_LETTERS = {
  name: 'saga_dead_letters',
  text: `
    SELECT j.id::text, EXISTS (
      SELECT FROM attempts a JOIN orders o ON o.id = a.order_id
      WHERE a.id IN (SELECT jsonb_array_elements_text(j.data -> 'attempt_ids')::uuid)
        AND (a.state IN ('pending', 'unknown')
          OR (a.state = 'authorized' AND (a.reversal_wanted OR o.state IN ('confirmed', 'shipped', 'delivered')))
          OR (a.state = 'captured' AND a.reversal_wanted))
    ) OR EXISTS (
      SELECT FROM orders o
      WHERE o.id IN (SELECT jsonb_array_elements_text(j.data -> 'order_ids')) AND o.state = 'reserved'
    ) OR EXISTS (
      SELECT FROM refunds r WHERE r.id = (j.data ->> 'refund_id')::uuid AND r.state = 'wanted'
    ) AS open
    FROM pgboss.job j WHERE j.name = $1 AND j.state = 'created'
    ORDER BY j.created_on LIMIT 1000`,
};

/** Returns how many are left. */
export async function settleDeadLetters(db: Queryable, boss: PgBoss): Promise<number> {
  const letters = await rows<{ id: string; open: boolean }>(db, DEAD_LETTERS, [DEAD_LETTER_QUEUE]);
  const over = letters.filter((letter) => !letter.open).map((letter) => letter.id);
  if (over.length > 0) await boss.deleteJob(DEAD_LETTER_QUEUE, over);
  return letters.length - over.length;
}
