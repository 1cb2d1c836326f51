/**
 * Merchants' webhooks on their way out: what the sink has written down is sent, replays are worked off, and what is old
 * goes. Any number of processes may run it; one of them does the work, the others stand by and tell the metrics.
 */
import { setMaxListeners } from 'node:events';
import type { Registry } from 'prom-client';
import { forgetDeliveries, giveUpDisabled, webhookOverview } from '../../../ledger/outbox/housekeeping.ts';
import { stepReplay } from '../../../ledger/outbox/replays.ts';
import type { Logger } from '../../../platform/log.ts';
import { createGuardedPost, type GuardedPostOptions } from '../../../platform/outgoing/guarded-post.ts';
import type { Pool } from '../../../platform/postgres.ts';
import { pause, runLoop } from '../../loop.ts';
import { createWaker } from '../../saga/waker.ts';
import { stepErrors } from '../../step-errors.ts';
import { keepSession, type Session } from '../session.ts';
import { createWebhookMetrics } from './metrics.ts';
import { createSender, type SenderOptions } from './sender.ts';

export type WebhookRoleOptions = {
  pool: Pool;
  /** For the connection that holds the lock. */
  database_url: string;
  signing_key: string;
  /** How long deliveries that are over are kept, days. */
  keep_days: number;
  target: GuardedPostOptions;
  registry: Registry;
  log: Logger;
  /** Awaited before anything is sent; resolves soon, come what may. */
  give_way?: () => Promise<void>;
  sender?: Pick<SenderOptions, 'limits' | 'policy' | 'random'>;
  timings?: Partial<WebhookTimings>;
};

export type WebhookTimings = {
  /** What is due is looked for so often though nobody calls, ms. */
  poll_ms: number;
  stand_by_ms: number;
  housekeeping_ms: number;
  measure_ms: number;
  /** Tries under way at the end get so long, ms. */
  patience_ms: number;
};

const TIMINGS: WebhookTimings = {
  poll_ms: 1_000,
  stand_by_ms: 1_000,
  housekeeping_ms: 10_000,
  measure_ms: 5_000,
  patience_ms: 1_200,
};
const GATHER_MS = 4;
/** Rows that one statement of housekeeping touches, and steps in one go. */
const ROWS_MAX = 1_000;
const STEPS_MAX = 20;
const REPLAY_IDS = 5_000;

/** Works until the signal ends it. Never rejects. */
export async function runWebhookRole(options: WebhookRoleOptions, signal: AbortSignal): Promise<void> {
  const { pool, log } = options;
  const timings = { ...TIMINGS, ...options.timings };
  const metrics = createWebhookMetrics(options.registry);
  const target = createGuardedPost(options.target);
  const heard = createWaker();
  const heardOfReplays = createWaker();
  const sender = createSender({
    pool,
    target,
    signing_key: options.signing_key,
    metrics,
    log,
    ...options.sender,
    on_end: () => heard.wake(),
  });
  const wake = () => {
    heard.wake();
    heardOfReplays.wake();
  };
  signal.addEventListener('abort', wake, { once: true });

  /** Works while the session lives and holds the lock. */
  async function attend(session: Session): Promise<void> {
    const over = AbortSignal.any([signal, session.lost]);
    setMaxListeners(0, over);
    over.addEventListener('abort', wake, { once: true });
    while (!over.aborted && !(await session.tryLock('webhook sender')))
      await pause(timings.stand_by_ms, over);
    await Promise.all([
      runLoop({
        signal: over,
        onError: stepErrors(log, 'webhooks'),
        busy_ms: 0,
        step: async () => {
          await options.give_way?.();
          // For room, or something to send; what comes within a moment is claimed together.
          if ((await sender.step()) === 0) await heard.wait(timings.poll_ms);
          await pause(GATHER_MS, over);
          return 'more';
        },
      }),
      runLoop({
        signal: over,
        onError: stepErrors(log, 'webhook replays'),
        busy_ms: 0,
        step: async () => {
          const step = await stepReplay(pool, REPLAY_IDS);
          if (step) heard.wake();
          else await heardOfReplays.wait(timings.poll_ms * 5);
          if (step?.done) log.info(step, 'a replay of webhooks is queued');
          return 'more';
        },
      }),
      runLoop({
        signal: over,
        onError: stepErrors(log, 'webhook housekeeping'),
        slow_ms: timings.housekeeping_ms,
        step: async () => {
          for (let step = 0; step < STEPS_MAX; step++) {
            const given_up = await giveUpDisabled(pool, ROWS_MAX);
            metrics.deliveries.inc({ outcome: 'given_up' }, given_up);
            const forgotten = await forgetDeliveries(pool, options.keep_days, ROWS_MAX);
            if (given_up + forgotten === 0) break;
          }
          return 'slow';
        },
      }),
    ]);
  }

  const sessions = () =>
    keepSession(
      {
        signal,
        url: options.database_url,
        application_name: 'stampede-webhooks',
        channel: 'stampede_webhooks',
        hear: wake,
        on_error: (error) => log.debug({ err: error }, 'the connection of the webhooks'),
        on_failure: stepErrors(log, 'webhooks'),
      },
      attend,
    );

  const measure = () =>
    runLoop({
      signal,
      onError: stepErrors(log, 'webhook metrics'),
      slow_ms: timings.measure_ms,
      step: async () => {
        const { oldest_seconds, working, failing, disabled } = await webhookOverview(pool);
        metrics.oldestSeconds.set(oldest_seconds);
        metrics.endpoints.set({ state: 'working' }, working);
        metrics.endpoints.set({ state: 'failing' }, failing);
        metrics.endpoints.set({ state: 'disabled' }, disabled);
        return 'slow';
      },
    });

  await Promise.all([sessions(), measure()]);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timings.patience_ms);
  });
  // What is still under way then is tried again when its claim ends.
  await Promise.race([sender.idle(), late]);
  clearTimeout(timer);
  target.close();
}
