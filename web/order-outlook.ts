/**
 * An order as its buyer should understand it: what happened, where the money is, and what to do next. Pure: times are
 * the answer's own.
 */
import type { Order, Payment } from './api-types.ts';
import { declineWords } from './decline-words.ts';
import { formatMoney } from './money.ts';
import { type Mood, stateRow } from './order-words.ts';

/** What the buyer can do about it. */
export type Move =
  /** A page or an app of the bank, wallet or UPI; `scan`: the link may be shown as a QR code as well. */
  | { kind: 'open'; url: string; label: string; scan: boolean }
  /** The same items once more, paid in another way. */
  | { kind: 'buy_again'; label: string };

export type Outlook = {
  title: string;
  text: string;
  mood: Mood;
  move: Move | undefined;
  cancelable: boolean;
  /** Until when the units are held, ISO 8601, while that matters. */
  held_until: string | undefined;
  /** Nothing more is to be expected, neither of the order nor of its money. */
  settled: boolean;
};

/** From here on a buyer wonders. */
const LONG_MS = 8_000;

export function outlookOf(order: Order): Outlook {
  const { title, text, mood, cancelable } = stateRow(order.state);
  const paying_back = isPayingBack(order);
  const base = {
    ...{ title, mood, cancelable },
    held_until: mood === 'moving' && !hasRunOut(order) ? order.reservation?.expires_at : undefined,
    settled: mood === 'bad' && !paying_back,
  };
  if (mood === 'moving') return { ...base, ...underWay(order, title, text) };
  if (mood === 'good')
    return { ...base, text: `${text}${partlyRefunded(order)}${mailNote(order)}`, move: undefined };
  const declined = order.state === 'payment_failed' ? declineWords(declineCode(order)) : undefined;
  return {
    ...base,
    title: declined?.title ?? title,
    text: declined
      ? `${declined.reason} ${moneyText(order)} ${text} ${declined.advice}`
      : endText(order, text),
    move: moveAtEnd(order),
  };
}

/** Is money on its way back to the buyer? */
export function isPayingBack(order: Order): boolean {
  return order.payments?.some(isGoingBack) ?? false;
}

function isGoingBack({ state, reversal_wanted }: Payment): boolean {
  return reversal_wanted === true && !['voided', 'refunded', 'declined'].includes(state);
}

function underWay(order: Order, title: string, text: string): Pick<Outlook, 'title' | 'text' | 'move'> {
  if (order.state !== 'reserved') return { title, text, move: undefined };
  // What the books do not know yet has not run out by them: time that we lose is not taken from the buyer.
  if (hasRunOut(order) && order.source !== 'reservation') {
    return {
      title: 'The hold has run out',
      text: 'We are finding out whether your payment still made it. If it did not, nothing is charged.',
      move: undefined,
    };
  }
  const payment = order.payments?.findLast(
    ({ state, reversal_wanted }) => !reversal_wanted && (state === 'pending' || state === 'unknown'),
  );
  const asked = payment && yourTurn(payment);
  if (asked) return asked;
  if (payment?.state === 'unknown' || waitedMs(order) > LONG_MS) return slow(order, payment);
  return { title, text, move: undefined };
}

/** Words for a payment that waits for its buyer. */
function yourTurn({ type, next_action }: Payment): Pick<Outlook, 'title' | 'text' | 'move'> | undefined {
  const url = safeLink(next_action?.url, next_action?.type === 'upi' ? APP_SCHEMES : PAGE_SCHEMES);
  if (!url || next_action?.type === 'wait') return undefined;
  if (next_action?.type === 'upi') {
    return {
      title: 'Approve it in your UPI app',
      text: 'The payment waits for your yes in the app. This page follows by itself.',
      move: { kind: 'open', url, label: 'Open your UPI app', scan: true },
    };
  }
  if (type === 'wallet' || type === 'upi') {
    return {
      title: 'Your wallet asks you',
      text: 'The payment waits for your yes on the page of your wallet, which leads back here. Nothing is charged before.',
      move: { kind: 'open', url, label: 'Go to your wallet', scan: false },
    };
  }
  return {
    title: 'Your bank asks you',
    text: 'It wants to know that it is you (3-D Secure). Confirm on its page, which leads back here. Nothing is charged before.',
    move: { kind: 'open', url, label: 'Confirm with your bank', scan: false },
  };
}

function slow(order: Order, payment: Payment | undefined): Pick<Outlook, 'title' | 'text' | 'move'> {
  const title = 'This takes longer than usual';
  if (order.source === 'reservation') {
    return {
      title,
      text: 'Your order is safe, but our books are behind. The payment begins as soon as they have caught up, and the time lost is not taken from your hold. There is nothing you need to do.',
      move: undefined,
    };
  }
  const begun = payment
    ? 'The payment provider has not given an answer yet. We keep asking, and you are never charged twice.'
    : 'The payment has not begun yet.';
  return {
    title,
    text: `${begun} Your units stay held until the time is up; what is paid after that is given back. There is nothing you need to do, and buying again would be a second order.`,
    move: undefined,
  };
}

function endText(order: Order, text: string): string {
  return order.state === 'rejected' ? text : `${text} ${moneyText(order)}`;
}

function declineCode({ payments }: Order): string | null | undefined {
  return payments?.findLast(({ state }) => state === 'declined')?.decline_code;
}

function moveAtEnd({ state }: Order): Move | undefined {
  if (state === 'payment_failed') return { kind: 'buy_again', label: 'Buy again' };
  if (state === 'expired') return { kind: 'buy_again', label: 'Buy again' };
  return undefined;
}

/** Where the money of an order that came to nothing is. */
function moneyText(order: Order): string {
  const { currency, total } = order.amounts;
  const payments = order.payments ?? [];
  const going = payments.filter(isGoingBack);
  if (going.some(({ state }) => state === 'captured')) {
    const left = going.reduce((sum, { amount = total, refunded = 0 }) => sum + amount - refunded, 0);
    return `${formatMoney(left, currency)} is on its way back to you.`;
  }
  if (going.some(({ state }) => state === 'authorized')) {
    return 'The amount that your bank has set aside is being released.';
  }
  if (going.length > 0) return 'If a payment still arrives, it is given back.';
  if (payments.some(({ state }) => state === 'refunded')) {
    const back = formatMoney(order.refunded || total, currency);
    return `${back} was given back. Banks may take a few days to show it.`;
  }
  if (payments.some(({ state }) => state === 'voided')) {
    return 'Nothing was charged; what your bank may have set aside is released.';
  }
  return 'Nothing was charged.';
}

function partlyRefunded({ refunded = 0, amounts }: Order): string {
  if (refunded <= 0) return '';
  return ` ${formatMoney(refunded, amounts.currency)} of ${formatMoney(amounts.total, amounts.currency)} was given back to you.`;
}

function mailNote({ state, contact }: Order): string {
  return state === 'confirmed' && contact?.email ? ` The confirmation goes to ${contact.email}.` : '';
}

function hasRunOut({ reservation, as_of }: Order): boolean {
  return reservation !== undefined && as_of !== undefined && reservation.expires_at <= as_of;
}

function waitedMs({ history, as_of }: Order): number {
  return as_of && history?.[0] ? Date.parse(as_of) - Date.parse(history[0].at) : 0;
}

const PAGE_SCHEMES = ['https:', 'http:'];
const APP_SCHEMES = [...PAGE_SCHEMES, 'upi:'];

/** A link as it may be put on the page: undefined unless its scheme is one of these. */
export function safeLink(url: string | null | undefined, schemes = PAGE_SCHEMES): string | undefined {
  if (!url || !URL.canParse(url)) return undefined;
  return schemes.includes(new URL(url).protocol) ? url : undefined;
}
