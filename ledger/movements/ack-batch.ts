/**
 * Redis has applied batch n: the next may be sealed. Acknowledging again changes nothing.
 *
 * $1 sale_no  $2 n
 */
import { changes, type Queryable } from '../../platform/postgres.ts';

const ACK_BATCH = {
  name: 'ack_batch',
  text: 'UPDATE cursors SET acked_n = $2 WHERE sale_no = $1 AND sealed_n = $2 AND acked_n = $2 - 1',
};

export async function ackBatch(db: Queryable, saleNo: number, n: number): Promise<void> {
  await changes(db, ACK_BATCH, [saleNo, n]);
}
