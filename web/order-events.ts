/** The history of an order in words, a line an event. */
import type { Order, OrderEvent } from './api-types.ts';
import { declineWords } from './decline-words.ts';
import { formatMoney } from './money.ts';
import { stateRow } from './order-words.ts';

export type EventLine = { at: string; text: string };

/** Oldest first. */
export function eventLines(order: Order): EventLine[] {
  return (order.history ?? []).map((event) => ({ at: event.at, text: eventText(event, order) }));
}

/** An event that leaves the state as it is tells of money, or of a parcel. */
function eventText(event: OrderEvent, order: Order): string {
  const { from, to, cause, detail } = event;
  if (from !== to) return stateRow(to).event;
  const amount =
    detail?.amount === undefined
      ? ''
      : ` ${formatMoney(detail.amount, detail.currency ?? order.amounts.currency)}`;
  switch (cause) {
    case 'payment_captured':
      return amount ? `Charged${amount}` : 'Payment taken';
    case 'payment_declined':
      return declineWords(detail?.code).reason.replace(/\.$/, '');
    case 'payment_voided':
      return 'Payment released, nothing charged';
    case 'payment_refunded':
      return amount ? `Refunded${amount}` : 'Payment refunded';
    case 'partially_refunded':
      return amount ? `Refunded${amount} of it` : 'Refunded in part';
    case 'shipment_recorded':
      return order.shipment?.carrier ? `Handed to ${order.shipment.carrier}` : 'Handed to the carrier';
    default:
      return sentence(cause);
  }
}

/** What a newer engine may tell: its own name for it, readable. */
function sentence(cause = 'noted'): string {
  const words = cause.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
