/** Pure: how many waiting requests go into the next batch. */
import { BATCH_BYTES_MAX, BATCH_LINES_MAX, BATCH_REQUESTS_MAX } from '../../domain/limits.ts';
import type { Prepared } from '../../lua/reserve-batch.ts';

/** How many from the front of `queue` one batch may carry: at least one if there is any. */
export function batchSize(queue: readonly { item: Prepared }[]): number {
  let lines = 0;
  let bytes = 0;
  let count = 0;
  for (const { item } of queue) {
    lines += item.lines.length;
    bytes += item.payload.length + item.answer.length;
    if (count > 0 && (lines > BATCH_LINES_MAX || bytes > BATCH_BYTES_MAX)) break;
    count += 1;
    if (count === BATCH_REQUESTS_MAX) break;
  }
  return count;
}
