/** Pure: the columns that a batch of requests makes for reserve.lua. */
import { DIGEST_BYTES } from '../domain/digest.ts';
import type { PricedLine } from '../domain/types.ts';
import type { ReserveBatch } from './scripts.ts';

/** A request ready to travel. With an empty answer it is a question, and takes nothing (see reserve.lua). */
export type Prepared = {
  id: Buffer;
  fingerprint: Buffer;
  buyer_hash: Buffer;
  lines: readonly PricedLine[];
  answer: Buffer;
  payload: Buffer;
};

const NOTHING = Buffer.alloc(0);
const NO_FINGERPRINT = Buffer.alloc(DIGEST_BYTES);

export function questionOf({
  id,
  buyer_hash,
  lines,
}: Pick<Prepared, 'id' | 'buyer_hash' | 'lines'>): Prepared {
  return { id, buyer_hash, lines, fingerprint: NO_FINGERPRINT, answer: NOTHING, payload: NOTHING };
}

export function columns(items: readonly Prepared[]): ReserveBatch {
  const hashes: Buffer[] = [];
  const index = new Map<string, number>();
  const skus: string[] = [];
  const lines: number[] = [];
  for (const item of items) {
    hashes.push(item.id, item.fingerprint, item.buyer_hash);
    lines.push(item.lines.length);
    for (const line of item.lines) {
      let at = index.get(line.sku);
      if (at === undefined) {
        at = skus.push(line.sku);
        index.set(line.sku, at);
      }
      lines.push(at, line.qty);
    }
  }
  return {
    hashes: Buffer.concat(hashes),
    answers: Buffer.concat(items.map((item) => item.answer)),
    payloads: Buffer.concat(items.map((item) => item.payload)),
    skus,
    lines,
    answer_lengths: items.map((item) => item.answer.length),
    payload_lengths: items.map((item) => item.payload.length),
  };
}
