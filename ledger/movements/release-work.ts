/** Which open sales have something for Redis: movements to seal or to resend, or a gate it has not been seen to take. */
import { type Queryable, rows } from '../../platform/postgres.ts';

const RELEASE_WORK = {
  name: 'release_work',
  text: `
    SELECT c.sale_no FROM cursors c JOIN sales s USING (sale_no)
    WHERE c.loaded AND c.fenced_reason IS NULL AND (
      c.sealed_n > c.acked_n OR s.gate_version > c.gate_version_seen
      OR EXISTS (SELECT FROM movements m WHERE m.sale_no = c.sale_no AND m.n IS NULL)
    )`,
};

export async function releaseWork(db: Queryable): Promise<number[]> {
  return (await rows<{ sale_no: number }>(db, RELEASE_WORK)).map((row) => row.sale_no);
}
