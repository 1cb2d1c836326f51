/**
 * When holds run out, by the ledger's own rule: as after an outage of the ledger nobody's time is over until it has been up for
 * a grace. So holds whose time is over pile up while it is told that it has only just come back, and all run out when it is not.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DEADLINE_GRACE_MS } from '../../../domain/limits.ts';
import type { Pool } from '../../../platform/postgres.ts';

export type Deadlines = {
  /** Now everything runs out whose time is over, and from now on everything when it is. */
  letGo(): Promise<void>;
  stop(): void;
};

export async function holdBackDeadlines(db: Pool): Promise<Deadlines> {
  const again = () => db.query('UPDATE heartbeat SET up_since = now()');
  await again();
  // An update that fails is made by the next.
  const timer = setInterval(() => again().catch(() => {}), DEADLINE_GRACE_MS / 4);
  const stop = () => clearInterval(timer);
  return {
    stop,
    async letGo() {
      stop();
      await db.query(`UPDATE heartbeat SET up_since = '-infinity'`);
    },
  };
}

/** Resolves when the time of every hold of the sale is over that the ledger has now. Returns the last one's deadline, to the microsecond. */
export async function untilAllAreOver(db: Pool, sale_no: number): Promise<string> {
  const { rows } = await db.query<{ last: string | null; in_ms: number }>({
    text: `SELECT max(expires_at)::text AS last, ceil(extract(epoch FROM max(expires_at) - now()) * 1000)::integer AS in_ms
           FROM orders WHERE sale_no = $1 AND held`,
    values: [sale_no],
  });
  const { last, in_ms } = rows[0] ?? {};
  if (!last || in_ms === undefined) throw new Error('nothing is held');
  await sleep(Math.max(0, in_ms + 1));
  return last;
}
