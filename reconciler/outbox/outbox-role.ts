/**
 * Hands events of orders to sinks. Any number of processes may run it; each sink has one active dispatcher, and one
 * that fails or is slow delays itself alone. What is safe to read is said by ledger/outbox/horizon.ts.
 */
import { setMaxListeners } from 'node:events';
import type { Registry } from 'prom-client';
import { findOrStartCursor, sinkLag } from '../../ledger/outbox/cursors.ts';
import { createHorizon, type Horizon } from '../../ledger/outbox/horizon.ts';
import { WAKE_CHANNEL } from '../../payments/jobs/enqueue.ts';
import type { Logger } from '../../platform/log.ts';
import type { Pool } from '../../platform/postgres.ts';
import { pause, runLoop } from '../loop.ts';
import { createWaker, type Waker } from '../saga/waker.ts';
import { stepErrors } from '../step-errors.ts';
import { dispatch } from './dispatch.ts';
import { createOutboxMetrics } from './metrics.ts';
import { keepSession, type Session } from './session.ts';
import type { AnySink } from './sink.ts';

export type OutboxOptions = {
  pool: Pool;
  /** For the connection that holds the locks. */
  database_url: string;
  sinks: readonly AnySink[];
  registry: Registry;
  log: Logger;
  /** Awaited before events are handed over; resolves soon, come what may. */
  give_way?: () => Promise<void>;
  timings?: Partial<OutboxTimings>;
};

export type OutboxTimings = {
  /** The horizon is looked at so often though nobody calls, ms. */
  poll_ms: number;
  /** And not more often than this, however many call: what comes meanwhile is taken together, ms. */
  gather_ms: number;
  /** A sink that nobody wants anything of is moved on so often, ms. */
  skip_ms: number;
  /** Who is not the active dispatcher asks again after this, ms. */
  stand_by_ms: number;
  /** Waits after failures in a row double from the first to the last, ms. */
  backoff_ms: number;
  backoff_ms_max: number;
  lag_ms: number;
};

const TIMINGS: OutboxTimings = {
  poll_ms: 100,
  gather_ms: 50,
  skip_ms: 1_000,
  stand_by_ms: 1_000,
  backoff_ms: 200,
  backoff_ms_max: 30_000,
  lag_ms: 5_000,
};

/** Works until the signal ends it and what is under way is done. Never rejects. */
export async function runOutboxRole(options: OutboxOptions, signal: AbortSignal): Promise<void> {
  const { pool, sinks, log } = options;
  const timings = { ...TIMINGS, ...options.timings };
  const metrics = createOutboxMetrics(options.registry);
  // There from the start: a rate sees the first one, too.
  for (const { name: sink } of sinks) {
    metrics.events.inc({ sink }, 0);
    metrics.failures.inc({ sink }, 0);
  }
  const heard = createWaker();
  const wakers = new Map<string, Waker>(sinks.map((sink) => [sink.name, createWaker()]));
  const wakeAll = () => {
    heard.wake();
    for (const waker of wakers.values()) waker.wake();
  };
  signal.addEventListener('abort', wakeAll, { once: true });

  /** One session: as long as the connection lives. */
  async function attend(session: Session): Promise<void> {
    const over = AbortSignal.any([signal, session.lost]);
    setMaxListeners(0, over);
    over.addEventListener('abort', wakeAll, { once: true });
    const look = createHorizon(session.client);
    const state: { horizon: Horizon; active: number } = { horizon: { safe_id: 0, last_id: 0 }, active: 0 };

    async function watch(): Promise<void> {
      while (!over.aborted) {
        const before = state.horizon.safe_id;
        if (state.active > 0) state.horizon = await look();
        const { safe_id, last_id } = state.horizon;
        if (safe_id > before) for (const waker of wakers.values()) waker.wake();
        await pause(timings.gather_ms, over);
        // Somebody's transaction is still under way: its end tells nobody.
        if (safe_id < last_id) await pause(timings.gather_ms, over);
        else if (!over.aborted) await heard.wait(timings.poll_ms);
      }
    }

    async function serve(sink: AnySink): Promise<void> {
      const waker = wakers.get(sink.name) as Waker;
      const onError = stepErrors(log, `outbox ${sink.name}`);
      let position: number | undefined;
      let failures = 0;
      const step = async (): Promise<number> => {
        if (position === undefined) {
          if (!(await session.tryLock(sink.name))) return timings.stand_by_ms;
          position = await findOrStartCursor(pool, sink.name, sink.from);
          state.active += 1;
          heard.wake();
        }
        if (position >= state.horizon.safe_id) return Number.POSITIVE_INFINITY;
        await options.give_way?.();
        const done = await dispatch(pool, sink, state.horizon.safe_id);
        metrics.events.inc({ sink: sink.name }, done.taken);
        position = done.position;
        failures = 0;
        if (done.taken > 0 || position < state.horizon.safe_id) return 0;
        // Nothing of it was wanted, and nobody waits for a cursor.
        return done.wanted ? timings.gather_ms : timings.skip_ms;
      };
      while (!over.aborted) {
        let wait_ms: number;
        try {
          wait_ms = await step();
        } catch (error) {
          // A lock that cannot be asked for is the session's end, and no fault of the sink.
          if (position !== undefined) metrics.failures.inc({ sink: sink.name });
          const longest = Math.min(timings.backoff_ms * 2 ** failures, timings.backoff_ms_max);
          failures += 1;
          onError(error);
          wait_ms = longest * (0.5 + Math.random() / 2);
        }
        if (over.aborted) break;
        if (wait_ms === Number.POSITIVE_INFINITY) await waker.wait(timings.poll_ms);
        else if (wait_ms > 0) await pause(wait_ms, over);
      }
    }

    const watching = watch().catch((error: unknown) => {
      if (!over.aborted) log.debug({ err: error }, 'the outbox cannot see how far events are safe');
      return session.close();
    });
    await Promise.all([watching, ...sinks.map(serve)]);
  }

  const sessions = () =>
    keepSession(
      {
        signal,
        url: options.database_url,
        application_name: 'stampede-outbox',
        // What most events are committed with. A call for each commit of its own would make all of them queue up.
        channel: WAKE_CHANNEL,
        hear: () => heard.wake(),
        on_error: (error) => log.debug({ err: error }, 'the connection of the outbox'),
        on_failure: stepErrors(log, 'outbox'),
      },
      attend,
    );

  const measure = () =>
    runLoop({
      signal,
      onError: stepErrors(log, 'outbox lag'),
      slow_ms: timings.lag_ms,
      step: async () => {
        for (const { name: sink } of sinks) {
          const { events, seconds } = await sinkLag(pool, sink);
          metrics.lagEvents.set({ sink }, events);
          metrics.lagSeconds.set({ sink }, seconds);
        }
        return 'slow';
      },
    });

  await Promise.all([sessions(), measure()]);
}
