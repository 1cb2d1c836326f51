/** A wave of holds that run out, followed to its end: when the ledger has ended each, and when Redis has all units back. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '../../../platform/postgres.ts';

export type Wave = {
  /** Since it began: every hold is ended in the ledger ... */
  expired_s: number;
  /** ... and every unit is on sale again. */
  back_s: number;
};

const POLL_MS = 250;

/** `last`: deadline of the last hold of the wave; whatever is held longer does not belong to it. */
export async function untilBack(db: Pool, sale_no: number, last: string): Promise<Wave> {
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1_000;
  const ask = async <T>(text: string, values: readonly unknown[]): Promise<T> => {
    const { rows } = await db.query<{ answer: T }>({ text, values: [...values] } as never);
    return rows[0]?.answer as T;
  };
  const held =
    'SELECT EXISTS (SELECT FROM orders WHERE sale_no = $1 AND held AND expires_at <= $2::timestamptz) AS answer';
  while (await ask<boolean>(held, [sale_no, last])) await sleep(POLL_MS);
  const expired_s = seconds();
  // Batches are numbered in the order of the movements, so it is the last movement's that counts.
  const newest = await ask<number>('SELECT max(id) AS answer FROM movements WHERE sale_no = $1', [sale_no]);
  const released = `
    SELECT NOT EXISTS (SELECT FROM movements WHERE sale_no = $1 AND n IS NULL AND id <= $2)
      AND acked_n >= (SELECT max(n) FROM movements WHERE sale_no = $1 AND id <= $2) AS answer
    FROM cursors WHERE sale_no = $1`;
  while (!(await ask<boolean>(released, [sale_no, newest]))) await sleep(POLL_MS);
  return { expired_s, back_s: seconds() };
}
