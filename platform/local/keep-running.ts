/** Keeps a process running: starts it again when it ends by itself, less and less eagerly. */
import { setTimeout as sleep } from 'node:timers/promises';

export type Exit = { code: number | null; signal: NodeJS.Signals | null };

export type Running = {
  /** Resolves when the process is gone. */
  exited: Promise<Exit>;
  /** Ends it; resolves when it is gone. */
  stop(): Promise<void>;
};

export type Kept = {
  /** Ends it for good. */
  stop(): Promise<void>;
};

const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 5_000;
/** One that ran this long is taken to be healthy: the next start is at once again. */
const STEADY_MS = 30_000;

/** Resolves when the first start has succeeded, rejects if it fails; later failures are tried again for ever. */
export async function keepRunning(
  name: string,
  start: () => Promise<Running>,
  say: (line: string) => void,
): Promise<Kept> {
  const stopping = new AbortController();
  const stopped = () => stopping.signal.aborted;
  let current = await start();
  let backoff_ms = BACKOFF_MS_MIN;

  const startAgain = async (): Promise<boolean> => {
    await sleep(backoff_ms, undefined, { signal: stopping.signal }).catch(() => {});
    backoff_ms = Math.min(2 * backoff_ms, BACKOFF_MS_MAX);
    if (stopped()) return false;
    try {
      current = await start();
    } catch (error) {
      say(`${name} did not start: ${error instanceof Error ? error.message : error}`);
      return false;
    }
    if (stopped()) await current.stop();
    else say(`${name} runs again`);
    return true;
  };

  const watch = async () => {
    while (!stopped()) {
      const began_ms = Date.now();
      const { code, signal } = await current.exited;
      if (stopped()) return;
      say(`${name} ended (${signal ?? `exit code ${code}`}); starting it again`);
      if (Date.now() - began_ms > STEADY_MS) backoff_ms = BACKOFF_MS_MIN;
      while (!stopped() && !(await startAgain())) {}
    }
  };
  const watched = watch();

  return {
    async stop() {
      stopping.abort();
      await current.stop();
      await watched;
    },
  };
}
