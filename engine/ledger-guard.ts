/**
 * Stands between requests and the ledger: a timer for every question, a bound on how many wait, and a
 * breaker, so that a ledger that is away costs each request nothing but its own need of it.
 */
import { isUnavailable } from '../platform/postgres.ts';

/** The ledger gave no answer in time. What was asked may or may not have been done. */
export class LedgerUnavailable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LedgerUnavailable';
  }
}

export type LedgerGuard = {
  /** Rejects with LedgerUnavailable, or with what `work` throws when the ledger is not to blame. */
  ask<T>(work: () => Promise<T>, timeout_ms?: number): Promise<T>;
  /** False while the breaker holds questions back. */
  available(): boolean;
};

export type LedgerGuardOptions = { now_ms?: () => number };

/** Reads give up early: somebody else may know the answer. */
export const LEDGER_READ_MS = 800;
export const LEDGER_WRITE_MS = 4_000;

/** Failures in a row that open the breaker, and how long it stays open before one question tries again, ms. */
const FAILURES_MAX = 3;
const OPEN_MS = 1_000;
const WAITING_MAX = 1_000;

export function createLedgerGuard(options: LedgerGuardOptions = {}): LedgerGuard {
  const { now_ms = () => performance.now() } = options;
  let failures = 0;
  let open_until_ms = 0;
  let trying = false;
  let waiting = 0;

  function failed(): void {
    failures += 1;
    if (failures >= FAILURES_MAX) open_until_ms = now_ms() + OPEN_MS;
  }

  async function timed<T>(work: () => Promise<T>, timeout_ms: number): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new LedgerUnavailable(`no answer in ${timeout_ms} ms`)), timeout_ms);
    });
    try {
      const result = await Promise.race([work(), late]);
      failures = 0;
      return result;
    } catch (error) {
      if (error instanceof LedgerUnavailable) {
        failed();
        throw error;
      }
      if (!isUnavailable(error)) {
        // It answered.
        failures = 0;
        throw error;
      }
      failed();
      throw new LedgerUnavailable('the ledger cannot be reached', { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    available: () => failures < FAILURES_MAX,
    async ask(work, timeout_ms = LEDGER_READ_MS) {
      const probing = failures >= FAILURES_MAX;
      if (probing && (trying || now_ms() < open_until_ms)) throw new LedgerUnavailable('held back');
      if (waiting >= WAITING_MAX) throw new LedgerUnavailable('too many questions at once');
      waiting += 1;
      trying ||= probing;
      try {
        return await timed(work, timeout_ms);
      } finally {
        waiting -= 1;
        if (probing) trying = false;
      }
    },
  };
}
