/** The printed parts of a receipt: what was bought and given back, where the parcel is, what happened when. */
import type { Order } from '../api-types.ts';
import { formatMoney } from '../money.ts';
import { eventLines } from '../order-events.ts';
import { safeLink } from '../order-outlook.ts';
import { dayAndTime, timeOfDay } from '../time.ts';
import { h } from './dom.ts';

export function receiptLines(order: Order, nameOf: (sku: string) => string): HTMLElement[] {
  const { currency, total } = order.amounts;
  const row = (label: string, value: string, className = '') =>
    h('div', { className }, h('dt', {}, label), h('dd', {}, value));
  const refunded = order.refunded ?? 0;
  return [
    ...order.items.map(({ sku, qty, unit_price }) =>
      row(`${qty} × ${nameOf(sku)}`, formatMoney(qty * unit_price, currency)),
    ),
    row('Total', formatMoney(total, currency), 'total'),
    ...(refunded > 0 ? [row('Given back', formatMoney(-refunded, currency), 'given-back')] : []),
  ];
}

/** Carrier, number and a link where there is one that may be followed; nothing where there is no parcel. */
export function parcelOf({ shipment }: Order): (Node | string)[] {
  if (!shipment) return [];
  const { carrier, tracking_number, tracking_url } = shipment;
  const name = [carrier, tracking_number].filter(Boolean).join(' ') || 'Handed to the carrier';
  const href = safeLink(tracking_url);
  if (!href) return [name];
  return [`${name} `, h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, 'Track the parcel')];
}

export function timelineOf(order: Order): HTMLElement[] {
  const today = order.as_of && new Date(order.as_of).toDateString();
  return eventLines(order).map(({ at, text }) => {
    const told = new Date(at).toDateString() === today || !today ? timeOfDay(at) : dayAndTime(at);
    return h('li', {}, h('time', { dateTime: at }, told), ' ', h('span', {}, text));
  });
}
