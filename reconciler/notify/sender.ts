/**
 * Sends what is due on one channel. Any number of senders may run, in one process or many.
 *
 * A notice is claimed, and marked `sending`, in a transaction of its own; then the server is spoken to; then what
 * became of it is written. Between the server's yes and that write lies the one window in which a crash makes a notice
 * go out twice: what is found `sending` past its lease is sent again, under the same Message-ID.
 */
import { type ClaimedNotice, claimNotices } from '../../ledger/notices/claim-notices.ts';
import { noticeOrders } from '../../ledger/notices/notice-orders.ts';
import { type NoticeNews, settleNotices } from '../../ledger/notices/settle-notices.ts';
import type { Logger } from '../../platform/log.ts';
import type { Pool } from '../../platform/postgres.ts';
import { createWaker } from '../saga/waker.ts';
import { stepErrors } from '../step-errors.ts';
import { type Delivery, LEASE_MS, type NoticeChannel, spoken } from './channel.ts';
import type { NoticeMetrics } from './metrics.ts';
import type { Notice } from './notice-table.ts';
import { createPace } from './pace.ts';
import type { NoticeFacts } from './view.ts';

export type SenderOptions = {
  db: Pool;
  channel: NoticeChannel;
  metrics: NoticeMetrics;
  log: Logger;
  /** Awaited before notices are claimed; resolves soon, come what may. */
  give_way?: () => Promise<void>;
  timings?: Partial<SenderTimings>;
  random?: () => number;
};

export type SenderTimings = {
  /** The ledger is asked at least so often, ms. */
  poll_ms: number;
  /** Wait before the second try; doubled with every further one, up to the longest, ms. */
  retry_ms: number;
  retry_ms_max: number;
  /** How long nothing is tried after a server turned out to be away: doubled up to the longest, ms. */
  away_ms: number;
  away_ms_max: number;
  /** After so long it has failed, ms. */
  patience_ms: number;
  lease_ms: number;
};

const TIMINGS: SenderTimings = {
  poll_ms: 500,
  retry_ms: 30_000,
  retry_ms_max: 3_600_000,
  away_ms: 1_000,
  away_ms_max: 30_000,
  patience_ms: 48 * 3_600_000,
  lease_ms: LEASE_MS,
};

/** Sends until the signal ends it, and what is under way is written down. Never rejects. */
export async function runSender(options: SenderOptions, signal: AbortSignal): Promise<void> {
  const { db, channel, metrics, log, random = Math.random } = options;
  const timings = { ...TIMINGS, ...options.timings };
  const onError = stepErrors(log, `notices by ${channel.name}`);
  const waker = createWaker();
  const pace = createPace(channel.rate);
  const news: NoticeNews[] = [];
  let flying = 0;
  let away = { until_ms: 0, pause_ms: timings.away_ms };
  signal.addEventListener('abort', () => waker.wake(), { once: true });

  while (!signal.aborted || flying > 0 || news.length > 0) {
    try {
      await writeNews();
      const wait_ms = signal.aborted ? timings.poll_ms : await claim();
      if (wait_ms > 0 && news.length === 0 && !(signal.aborted && flying === 0)) await waker.wait(wait_ms);
    } catch (error) {
      const wait_ms = onError(error);
      // Nobody is left to wait for a ledger that is away: what is not written is sent again.
      if (signal.aborted && flying === 0) break;
      await waker.wait(wait_ms);
    }
  }

  /** How long to wait for more, ms. */
  async function claim(): Promise<number> {
    const now_ms = performance.now();
    if (now_ms < away.until_ms) return Math.min(away.until_ms - now_ms, timings.poll_ms);
    await options.give_way?.();
    const limit = Math.min(channel.concurrency - flying, pace.available());
    if (limit < 1) return flying > 0 ? timings.poll_ms : pace.wait_ms();
    const { lease_ms } = timings;
    const began_ms = performance.now();
    const claimed = await claimNotices(db, {
      channel: channel.name,
      limit,
      lease_ms,
      domain: channel.domain,
    });
    if (claimed.length === 0) return timings.poll_ms;
    pace.take(claimed.length);
    const orders = await noticeOrders(db, [...new Set(claimed.map((notice) => notice.order_id))]);
    for (const notice of claimed) {
      const order = orders.get(notice.order_id);
      const facts = order && {
        notice: notice.notice as Notice,
        order,
        detail: notice.detail,
        at: notice.event_at,
      };
      flying += 1;
      void sendOne(notice, facts, began_ms).finally(() => {
        flying -= 1;
        waker.wake();
      });
    }
    return claimed.length < limit ? timings.poll_ms : 0;
  }

  async function sendOne(
    notice: ClaimedNotice,
    facts: NoticeFacts | undefined,
    began_ms: number,
  ): Promise<void> {
    const { id: notice_id, order_id, tries } = notice;
    if (notice.again) {
      metrics.notices.inc({ channel: channel.name, outcome: 'again' });
      log.warn(
        { notice_id, order_id, tries },
        'a sender ended in the midst of this notice; it is sent again',
      );
    }
    // Whoever stood still for so long may not be the only one who has it.
    if (performance.now() - began_ms > timings.lease_ms / 2) {
      news.push(newsOf(notice, { kind: 'later', error: 'the sender stood still', away: false }));
      return;
    }
    const end = metrics.sendSeconds.startTimer({ channel: channel.name });
    const delivery = facts
      ? await channel.send(notice, facts).catch((error: unknown): Delivery => {
          log.error({ err: error, notice_id, order_id }, 'a notice could not be made');
          return { kind: 'later', error: spoken((error as Error).message ?? ''), away: false };
        })
      : ({ kind: 'refused', error: 'no such order' } as const);
    end();
    noteAway(delivery);
    const item = newsOf(notice, delivery);
    news.push(item);
    const outcome = item.state === 'wanted' ? 'retried' : item.state;
    metrics.notices.inc({ channel: channel.name, outcome });
    if (item.state === 'failed')
      log.warn({ notice_id, order_id, tries, why: item.error }, 'a notice has failed');
  }

  function noteAway(delivery: Delivery): void {
    if (delivery.kind !== 'later' || !delivery.away) {
      away = { until_ms: 0, pause_ms: timings.away_ms };
      return;
    }
    const now_ms = performance.now();
    if (now_ms < away.until_ms) return;
    log.warn({ channel: channel.name, why: delivery.error }, 'no notice can be sent at the moment');
    away = {
      until_ms: now_ms + away.pause_ms,
      pause_ms: Math.min(away.pause_ms * 2, timings.away_ms_max),
    };
  }

  function newsOf({ id, tries, wanted_at }: ClaimedNotice, delivery: Delivery): NoticeNews {
    const item = { id, tries, error: null, message_id: null, wait_ms: 0, deferred: false };
    switch (delivery.kind) {
      case 'sent':
        return { ...item, state: 'sent', message_id: delivery.id };
      case 'refused':
        return { ...item, state: 'failed', error: delivery.error };
      case 'unwanted':
        return { ...item, state: 'skipped', error: delivery.error };
      case 'later': {
        if (Date.now() - wanted_at.getTime() > timings.patience_ms) {
          return { ...item, state: 'failed', error: `given up: ${delivery.error}` };
        }
        const longest = Math.min(timings.retry_ms * 2 ** Math.min(tries - 1, 20), timings.retry_ms_max);
        // Half of it at least, so that a server that was away is not asked by all at once.
        const wait_ms = longest * (0.5 + random() / 2);
        return { ...item, state: 'wanted', error: delivery.error, wait_ms, deferred: !delivery.away };
      }
    }
  }

  async function writeNews(): Promise<void> {
    const batch = news.slice();
    if (batch.length === 0) return;
    const told = await settleNotices(db, batch);
    news.splice(0, batch.length);
    if (told < batch.length)
      log.warn({ late: batch.length - told }, 'notices that somebody else has claimed since');
  }
}
