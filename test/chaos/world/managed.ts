/** One process of the system under test: it can be killed, stopped, continued and ended, and is started again when it ends by itself. */
import { setTimeout as sleep } from 'node:timers/promises';

export type Launched = { pid: number; exited: Promise<{ code: number | null; signal: string | null }> };

export type Managed = {
  name: string;
  pid(): number;
  /** SIGKILL, or SIGTERM and its own way to end; it stays down until `start`. */
  end(signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT'): Promise<void>;
  /** Resolves when it serves. Does nothing if it runs. */
  start(): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  freeze(): void;
  thaw(): void;
  /** Ends that nobody asked for, told while it was up and serving. */
  surprises: string[];
  close(): Promise<void>;
};

const RETRY_MS = 300;
const CLEAN_END_MS = 10_000;

/** Resolves when it serves for the first time. */
export async function manage(name: string, launch: () => Promise<Launched>): Promise<Managed> {
  const surprises: string[] = [];
  let wanted = true;
  let closed = false;
  let running: Launched | undefined;
  let starting: Promise<void> | undefined;

  async function launchUntilItRuns(): Promise<void> {
    while (wanted && !running) {
      try {
        const launched = await launch();
        running = launched;
        void watch(launched);
      } catch (error) {
        // A start that fails for good is seen by whoever waits for it.
        if (closed) return;
        lastFailure = String(error);
        await sleep(RETRY_MS);
      }
    }
  }
  let lastFailure = '';

  async function watch(launched: Launched): Promise<void> {
    const { code, signal } = await launched.exited;
    if (running === launched) running = undefined;
    if (!wanted) return;
    surprises.push(`${name} ended by itself (${signal ?? `exit code ${code}`})`);
    await sleep(RETRY_MS);
    await start().catch(() => {});
  }

  function start(): Promise<void> {
    wanted = true;
    starting ??= launchUntilItRuns().finally(() => {
      starting = undefined;
    });
    return starting;
  }

  const signal = (what: NodeJS.Signals) => {
    try {
      if (running) process.kill(running.pid, what);
    } catch {
      // It is gone.
    }
  };

  async function end(what: 'SIGKILL' | 'SIGTERM' | 'SIGINT'): Promise<void> {
    wanted = false;
    await starting;
    const ending = running;
    if (!ending) return;
    signal(what);
    signal('SIGCONT');
    const gone = await Promise.race([ending.exited.then(() => true), sleep(CLEAN_END_MS, false)]);
    if (!gone) signal('SIGKILL');
    await ending.exited;
    running = undefined;
  }

  const first = await launch();
  running = first;
  void watch(first);

  return {
    name,
    pid() {
      if (!running) throw new Error(`${name} does not run${lastFailure && `: ${lastFailure}`}`);
      return running.pid;
    },
    end,
    start,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    surprises,
    async close() {
      closed = true;
      await end('SIGKILL');
    },
  };
}
