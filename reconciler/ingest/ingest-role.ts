/**
 * Ingests every sale, each in a loop of its own, so that one that stands still holds up no other. A sale is
 * followed by the reconciler that holds its lock; the others look now and again whether it has become free.
 */

import { wantedRebuilds } from '../../ledger/rebuild/begin-rebuild.ts';
import { followedSales, salesExcept } from '../../ledger/stream/cursor.ts';
import { type LoopOptions, runLoop, type StepResult } from '../loop.ts';
import type { FollowState } from '../metrics.ts';
import type { SaleLocks } from '../sale-locks.ts';
import { stepErrors } from '../step-errors.ts';
import { createTurns } from '../turns.ts';
import { type FollowDeps, type Follower, followSale } from './follow-sale.ts';
import { trimStream } from './trim-stream.ts';

export type IngestRole = {
  run(signal: AbortSignal): Promise<void>;
  /** Of the sales that this process follows, by number. */
  states(): ReadonlyMap<number, FollowState>;
};

const LOOK_FOR_SALES_MS = 100;
const TRIM_EVERY_MS = 60_000;
/** A rebuild holds two or three of the pool's connections: of many sales that are rebuilt at once, none would get on. */
const REBUILDS_AT_ONCE_MAX = 3;
/** A connection that died without a word is noticed after this and its query's timeout. */
const CHECK_LOCKS_EVERY_MS = 5_000;

export function createIngestRole(
  options: FollowDeps & { locks: SaleLocks; trim_age_ms: number },
): IngestRole {
  const { db, redis, locks, log, trim_age_ms } = options;
  const followers = new Map<number, Follower>();
  const rebuildTurns = createTurns(REBUILDS_AT_ONCE_MAX);

  function saleLoop(saleNo: number, signal: AbortSignal): Promise<void> {
    let follower: Follower | undefined;
    const step = async (): Promise<StepResult> => {
      if (!follower || !locks.holds('ingest', saleNo)) {
        followers.delete(saleNo);
        if (!(await locks.acquire('ingest', saleNo))) return 'slow';
        follower = followSale({ ...options, rebuildTurns }, saleNo);
        followers.set(saleNo, follower);
      }
      return follower.step();
    };
    return runLoop({ step, signal, onError: stepErrors(log, `ingest of sale ${saleNo}`) });
  }

  async function trimFollowed(): Promise<StepResult> {
    for (const sale of await followedSales(db)) {
      // Without an entry to verify by, a fenced sale would stay closed: nothing is trimmed there.
      if (!followers.has(sale.sale_no) || sale.fenced_reason !== null) continue;
      const dropped = await trimStream(redis, sale, trim_age_ms);
      if (dropped > 0) log.info({ tenant: sale.tenant, sale: sale.sale, dropped }, 'stream trimmed');
    }
    return 'slow';
  }

  return {
    states: () => new Map([...followers].map(([saleNo, follower]) => [saleNo, follower.state])),
    async run(signal) {
      const loops = new Map<number, Promise<void>>();
      const discover = async (): Promise<StepResult> => {
        const found = await salesExcept(db, [...loops.keys()]);
        for (const saleNo of found) loops.set(saleNo, saleLoop(saleNo, signal));
        for (const saleNo of await wantedRebuilds(db)) followers.get(saleNo)?.lookAgain();
        return 'slow';
      };
      const every = (ms: number, step: LoopOptions['step'], role: string) =>
        runLoop({ step, signal, slow_ms: ms, onError: stepErrors(log, role) });
      await Promise.all([
        every(LOOK_FOR_SALES_MS, discover, 'discovery of sales'),
        every(TRIM_EVERY_MS, trimFollowed, 'trim'),
        every(CHECK_LOCKS_EVERY_MS, () => locks.check().then(() => 'slow'), 'locks'),
      ]);
      await Promise.all(loops.values());
    },
  };
}
