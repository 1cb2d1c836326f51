/**
 * Redis has applied batch n: the next may be sealed. Acknowledging again changes nothing.
 * The memory that applied it must still be the one that counts: since another epoch was issued, Redis may have come back as an
 * older copy. Then the batch is sent again.
 *
 * $1 sale_no  $2 n  $3 the epoch under which Redis applied it
 */
import { changes, type Queryable } from '../../platform/postgres.ts';

const ACK_BATCH = {
  name: 'ack_batch',
  text: `
    UPDATE cursors SET acked_n = $2
    WHERE sale_no = $1 AND sealed_n = $2 AND acked_n = $2 - 1 AND epoch = $3`,
};

export async function ackBatch(
  db: Queryable,
  saleNo: number,
  { n, epoch }: { n: number; epoch: number },
): Promise<void> {
  await changes(db, ACK_BATCH, [saleNo, n, epoch]);
}
