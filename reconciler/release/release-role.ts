/** Releases whatever the ledger has for Redis, sale by sale, several at once, each by one reconciler at a time. */
import { releaseWork } from '../../ledger/movements/release-work.ts';
import { runLoop, type StepResult } from '../loop.ts';
import type { SaleLocks } from '../sale-locks.ts';
import { stepErrors } from '../step-errors.ts';
import { type ReleaseDeps, releaseSale } from './release-sale.ts';

const AT_ONCE = 4;

export function runReleaseRole(
  options: ReleaseDeps & { locks: SaleLocks },
  signal: AbortSignal,
): Promise<void> {
  const { db, locks, log } = options;

  async function release(saleNo: number): Promise<boolean> {
    return (await locks.acquire('release', saleNo)) && (await releaseSale(options, saleNo));
  }

  async function step(): Promise<StepResult> {
    const waiting = await releaseWork(db);
    let busy = false;
    const failures: unknown[] = [];
    const worker = async () => {
      for (let saleNo = waiting.shift(); saleNo !== undefined; saleNo = waiting.shift()) {
        try {
          if (await release(saleNo)) busy = true;
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    // One sale that fails holds up no other.
    if (failures.length > 0) throw failures[0];
    return busy ? 'busy' : 'idle';
  }

  return runLoop({ step, signal, onError: stepErrors(log, 'release') });
}
