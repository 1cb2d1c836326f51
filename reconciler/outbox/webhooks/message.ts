/** What is sent about an event: enough to act, and nothing of the buyer or of how it was paid. */
import { eventName, testEventName } from '../../../domain/event-types.ts';
import type { ClaimedDelivery } from '../../../ledger/outbox/deliveries.ts';

export type Message = {
  /** The same with every try, and for every endpoint: receivers know by it what they have seen. */
  id: string;
  body: string;
};

export function messageOf(delivery: ClaimedDelivery): Message {
  if (delivery.event_id === null) {
    const data = { endpoint_id: delivery.endpoint_id, message: 'Webhooks arrive here.' };
    return {
      id: testEventName(delivery.id),
      body: bodyOf(delivery.type, delivery.wanted_at, data),
    };
  }
  const { order_id, sale, state, from_state, cause, currency, items, detail } = delivery;
  const { subtotal, discount, shipping, tax, total, carrier, tracking_number, tracking_url } = delivery;
  const data = {
    order_id,
    sale_id: sale,
    state,
    previous_state: from_state,
    cause,
    items,
    amounts: { currency, subtotal, discount, shipping, tax, total },
    detail,
    ...(PARCEL_TYPES.includes(delivery.type) && { shipment: { carrier, tracking_number, tracking_url } }),
  };
  return { id: eventName(delivery.event_id), body: bodyOf(delivery.type, delivery.at, data) };
}

/** Types that say where the parcel is. */
const PARCEL_TYPES: readonly string[] = ['shipment.recorded', 'order.shipped'];

function bodyOf(type: string, at: Date, data: object): string {
  return JSON.stringify({ type, timestamp: at.toISOString(), data });
}
