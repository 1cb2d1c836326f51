/**
 * Two reconcilers of one sale, stepped by hand, each of which may die or stand still at any call to its stores. Nothing
 * but the ledger keeps them apart here: the locks by which roles share the work are taken to have lapsed.
 */
import { Registry } from 'prom-client';
import { DEADLINE_GRACE_MS } from '../../domain/limits.ts';
import { sealBatch } from '../../ledger/movements/seal-batch.ts';
import { expireDue } from '../../ledger/orders/expire-due.ts';
import { wantedRebuilds } from '../../ledger/rebuild/begin-rebuild.ts';
import { followedSale } from '../../ledger/stream/cursor.ts';
import { createLog } from '../../platform/log.ts';
import { isUnavailable, type Pool } from '../../platform/postgres.ts';
import { RedisUnavailable } from '../../platform/redis.ts';
import { type FollowDeps, type Follower, followSale } from '../../reconciler/ingest/follow-sale.ts';
import { trimStream } from '../../reconciler/ingest/trim-stream.ts';
import { createReconcilerMetrics } from '../../reconciler/metrics.ts';
import { releaseSale } from '../../reconciler/release/release-sale.ts';
import type { Role } from './commands.ts';
import { type Interruptible, type Interruption, interruptible } from './interrupt.ts';
import type { World } from './world.ts';

export type Worker = {
  /** One step of a role. Standing still, it does nothing. Returns whether the step came to its end. */
  work(role: Role, interruption: Interruption | null): Promise<boolean>;
  /** Goes on where it stood still. */
  wake(): Promise<void>;
  /** A new process in place of this one. */
  replace(): void;
};

const log = createLog({ level: 'silent', service: 'sequences' });

export function createWorker(world: Pick<World, 'redis'> & { db: Pool }, saleNo: number): Worker {
  let process = born();
  /** The step that stands still. */
  let still: Promise<unknown> | undefined;

  function born(): { io: Interruptible; deps: FollowDeps; follower: Follower } {
    const io = interruptible(world);
    const deps: FollowDeps = {
      ...{ db: io.db, redis: io.redis, log, grace_ms: DEADLINE_GRACE_MS },
      metrics: createReconcilerMetrics(new Registry()),
      enqueueAuthorize: () => Promise.resolve(),
    };
    return { io, deps, follower: followSale(deps, saleNo) };
  }

  async function step(role: Role): Promise<unknown> {
    const { deps, follower } = process;
    switch (role) {
      case 'ingest':
        return follower.step();
      case 'release':
        return releaseSale(deps, saleNo);
      case 'seal':
        // As if the release had ended right after it.
        return sealBatch(deps.db, saleNo, { movements_max: 2 });
      case 'trim': {
        const sale = await followedSale(deps.db, saleNo);
        return sale.fenced_reason === null ? trimStream(deps.redis, sale, 0) : undefined;
      }
      case 'discover':
        // As the ingest role does now and again.
        if ((await wantedRebuilds(deps.db)).includes(saleNo)) follower.lookAgain();
        return undefined;
      case 'expire':
        return expireDue(deps.db, { limit: 10 });
    }
  }

  return {
    async work(role, interruption) {
      if (still) return false;
      const { io } = process;
      if (interruption) io.arm(interruption);
      const end = step(role).then(
        () => 'done' as const,
        (error: unknown) => {
          if (io.dead()) return 'dead' as const;
          // A busy machine: the loop of the role would try again.
          if (isUnavailable(error) || error instanceof RedisUnavailable) return 'again' as const;
          throw error;
        },
      );
      const result = await Promise.race([end, io.paused().then(() => 'still' as const)]);
      if (result === 'still') {
        still = end;
        return false;
      }
      io.disarm();
      if (io.dead()) {
        process = born();
        return false;
      }
      return result === 'done';
    },
    async wake() {
      if (!still) return;
      process.io.wake();
      try {
        await still;
      } finally {
        still = undefined;
      }
    },
    replace() {
      process = born();
    },
  };
}
