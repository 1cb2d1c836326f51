/**
 * Which event makes which notice, and on which channels: ONE table. What is not in it is not told.
 *
 * A full refund is told when the provider reads the money as given back (`payment.refunded`), not when the operator
 * asks for it (`order.refunded`). A payment that failed on the stepwise road leaves the order reserved, and the buyer
 * is on the page: told is only the order's end.
 */
import type { OrderState } from '../../domain/order-machine.ts';

export const NOTICES = [
  'confirmed',
  'payment_failed',
  'expired',
  'canceled',
  'rejected',
  'voided',
  'refunded',
  'partially_refunded',
  'shipped',
  'delivered',
] as const;
export type Notice = (typeof NOTICES)[number];

/** `text`: SMS or WhatsApp, whichever there is. */
export type Medium = 'email' | 'text';

export type NoticeRule = {
  notice: Notice;
  media: readonly Medium[];
  /** With the invoice as a PDF; e-mail only. */
  invoice?: true;
  /** Only while the order is in one of these states. */
  only_in?: readonly OrderState[];
};

export const NOTICE_TABLE: Readonly<Record<string, NoticeRule>> = {
  'order.confirmed': { notice: 'confirmed', media: ['email', 'text'], invoice: true },
  'order.payment_failed': { notice: 'payment_failed', media: ['email', 'text'] },
  'order.expired': { notice: 'expired', media: ['email'] },
  'order.canceled': { notice: 'canceled', media: ['email'] },
  'order.rejected': { notice: 'rejected', media: ['email', 'text'] },
  // Money that was reserved and never taken: worth a word once the order has ended without goods.
  'payment.voided': {
    notice: 'voided',
    media: ['email'],
    only_in: ['expired', 'canceled', 'payment_failed', 'refunded'],
  },
  'payment.refunded': { notice: 'refunded', media: ['email', 'text'] },
  'payment.partially_refunded': { notice: 'partially_refunded', media: ['email', 'text'] },
  'order.shipped': { notice: 'shipped', media: ['email', 'text'] },
  'order.delivered': { notice: 'delivered', media: ['email'] },
};

/** Undefined: nobody is told of it. */
export function ruleOf(event: { type: string; to_state: string }): NoticeRule | undefined {
  const rule = Object.hasOwn(NOTICE_TABLE, event.type) ? NOTICE_TABLE[event.type] : undefined;
  return rule?.only_in && !rule.only_in.some((state) => state === event.to_state) ? undefined : rule;
}

/** Does this notice carry the invoice? */
export function hasInvoice(notice: Notice): boolean {
  return Object.values(NOTICE_TABLE).some((rule) => rule.notice === notice && rule.invoice === true);
}

/** Is it told by SMS or WhatsApp, too? */
export function isTexted(notice: Notice): boolean {
  return Object.values(NOTICE_TABLE).some((rule) => rule.notice === notice && rule.media.includes('text'));
}
