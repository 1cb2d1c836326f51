/**
 * From events to notices: a sink of the outbox. It writes rows and sends nothing. Each event is taken once, in the
 * transaction that moves the cursor, and the row's key (event, channel, recipient) refuses a second one besides.
 */
import { type Channel, insertNotices, type NewNotice } from '../../ledger/notices/insert-notices.ts';
import { issueInvoices } from '../../ledger/notices/issue-invoices.ts';
import { type Contact, noticeContacts } from '../../ledger/notices/notice-orders.ts';
import type { OutboxEvent, Sink } from '../outbox/sink.ts';
import { isMailAddress, isPhone } from './clean-text.ts';
import type { NoticeMetrics } from './metrics.ts';
import { type Medium, NOTICE_TABLE, type NoticeRule, ruleOf } from './notice-table.ts';

/** What happened longer ago is not told any more: a mail of last week's order frightens more than it helps. */
export const STALE_MS = 72 * 3_600_000;

export type NoticeSinkOptions = {
  /** Channels that this deployment can send on. */
  channels: readonly Channel[];
  /** Notices that are not sent. */
  off: readonly string[];
  metrics: Pick<NoticeMetrics, 'notices'>;
  now_ms?: () => number;
};

type Told = { event: OutboxEvent; rule: NoticeRule };

export function createNoticeSink(options: NoticeSinkOptions): Sink {
  const { channels, off, metrics, now_ms = Date.now } = options;
  return {
    name: 'notices',
    // Invoices are numbered from the first order on; buyers of long ago are told nothing (STALE_MS).
    from: 'start',
    wants: async () => ({ types: Object.keys(NOTICE_TABLE) }),
    async take(tx, events) {
      const confirmed = events.filter((event) => event.type === 'order.confirmed');
      await issueInvoices(tx, confirmed);
      const told = events.flatMap((event): Told[] => {
        const rule = ruleOf(event);
        return rule && !off.includes(rule.notice) ? [{ event, rule }] : [];
      });
      if (told.length === 0 || channels.length === 0) return;
      const contacts = await noticeContacts(tx, [...new Set(told.map(({ event }) => event.order_id))]);
      const notices = told.flatMap((item) => noticesOf(item, contacts.get(item.event.order_id)));
      if (notices.length === 0) return;
      await insertNotices(tx, notices);
      for (const { channel, skip } of notices) if (skip) metrics.notices.inc({ channel, outcome: 'skipped' });
    },
  };

  function noticesOf({ event, rule }: Told, contact: Contact | undefined): NewNotice[] {
    const late = now_ms() - event.at.getTime() > STALE_MS ? 'too late' : null;
    return rule.media.flatMap((medium): NewNotice[] => {
      const to = recipientOf(medium, contact);
      if (!to) return [];
      const { id: event_id, order_id, detail, at: event_at } = event;
      return [{ ...to, event_id, order_id, notice: rule.notice, detail, event_at, skip: to.skip ?? late }];
    });
  }

  function recipientOf(
    medium: Medium,
    contact: Contact | undefined,
  ): { channel: Channel; recipient: string; skip: string | null } | undefined {
    const channel =
      medium === 'email' ? 'email' : (['whatsapp', 'sms'] as const).find((name) => channels.includes(name));
    const recipient = medium === 'email' ? contact?.email : contact?.phone;
    if (!channel || !channels.includes(channel) || !recipient) return undefined;
    const fits = medium === 'email' ? isMailAddress(recipient) : isPhone(recipient);
    // Kept short: it is part of a key.
    return fits
      ? { channel, recipient, skip: null }
      : { channel, recipient: recipient.slice(0, 254), skip: 'not an address' };
  }
}
