/**
 * Ends what makes no progress, a few at a time. The server library closes everybody whose time is over in one go, every
 * four seconds: thousands at once keep all others waiting. Whatever is closed here before leaves it less to do.
 *
 * All that is waited for has the same patience, so whoever began first is over first.
 */
export type Patience<T> = {
  /** Begins to wait for it, or begins anew: it has made progress. */
  wait(what: T): void;
  /** It is waited for no longer. Any number of times. */
  done(what: T): void;
  count(): number;
  /** Ends nobody any more. */
  stop(): void;
};

export type PatienceOptions<T> = {
  patience_ms: number;
  /** Called once for each that has made no progress for so long. */
  end(what: T): void;
  now_ms?: () => number;
  every?: (ms: number, tick: () => void) => () => void;
};

const TICK_MS = 10;
/** Ended in one tick at most: well under a millisecond. */
const ENDED_MAX = 50;

export function createPatience<T>(options: PatienceOptions<T>): Patience<T> {
  const { patience_ms, end, now_ms = () => performance.now(), every = interval } = options;
  /** In the order in which they began. */
  const until_ms = new Map<T, number>();
  let stop: (() => void) | undefined;

  function tick(): void {
    const now = now_ms();
    let ended = 0;
    for (const [what, until] of until_ms) {
      if (until > now || ended === ENDED_MAX) break;
      ended += 1;
      until_ms.delete(what);
      end(what);
    }
    if (until_ms.size > 0) return;
    stop?.();
    stop = undefined;
  }

  return {
    wait(what) {
      until_ms.delete(what);
      until_ms.set(what, now_ms() + patience_ms);
      stop ??= every(TICK_MS, tick);
    },
    done(what) {
      until_ms.delete(what);
    },
    count: () => until_ms.size,
    stop() {
      until_ms.clear();
      stop?.();
      stop = undefined;
    },
  };
}

function interval(ms: number, tick: () => void): () => void {
  const timer = setInterval(tick, ms);
  timer.unref();
  return () => clearInterval(timer);
}
