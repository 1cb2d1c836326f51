/** Pure: how many waiting requests go into the next batch, and the columns they make. */
import { BATCH_BYTES_MAX, BATCH_LINES_MAX, BATCH_REQUESTS_MAX } from '../../domain/limits.ts';
import type { PricedLine } from '../../domain/types.ts';
import type { ReserveBatch } from '../../lua/scripts.ts';

/** A request ready to travel. */
export type Prepared = {
  id: Buffer;
  fingerprint: Buffer;
  buyer_hash: Buffer;
  lines: readonly PricedLine[];
  answer: Buffer;
  payload: Buffer;
};

/** How many from the front of `queue` one batch may carry: at least one if there is any. */
export function batchSize(queue: readonly Prepared[]): number {
  let lines = 0;
  let bytes = 0;
  let count = 0;
  for (const item of queue) {
    lines += item.lines.length;
    bytes += item.payload.length + item.answer.length;
    if (count > 0 && (lines > BATCH_LINES_MAX || bytes > BATCH_BYTES_MAX)) break;
    count += 1;
    if (count === BATCH_REQUESTS_MAX) break;
  }
  return count;
}

export function columns(items: readonly Prepared[]): ReserveBatch {
  const batch: ReserveBatch = {
    ids: [],
    fingerprints: [],
    buyers: [],
    answers: [],
    payloads: [],
    skus: [],
    lines: [],
  };
  const index = new Map<string, number>();
  for (const item of items) {
    batch.ids.push(item.id);
    batch.fingerprints.push(item.fingerprint);
    batch.buyers.push(item.buyer_hash);
    batch.answers.push(item.answer);
    batch.payloads.push(item.payload);
    batch.lines.push(item.lines.length);
    for (const line of item.lines) {
      let at = index.get(line.sku);
      if (at === undefined) {
        at = batch.skus.push(line.sku);
        index.set(line.sku, at);
      }
      batch.lines.push(at, line.qty);
    }
  }
  return batch;
}
