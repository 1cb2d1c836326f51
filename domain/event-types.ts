/** What events of orders are called outside: in merchants' webhooks, and wherever else somebody chooses among them. */
import { ORDER_STATES } from './order-machine.ts';

/** Events that leave an order's state alone, besides the transitions. */
const OTHERS = [
  'payment.captured',
  'payment.declined',
  'payment.voided',
  'payment.refunded',
  'payment.partially_refunded',
  'payment.refund_refused',
  'shipment.recorded',
] as const;

/** As the ledger's function order_event_type makes them (a test compares). */
export const EVENT_TYPES: readonly string[] = [...ORDER_STATES.map((state) => `order.${state}`), ...OTHERS];

/** What a merchant sends to itself to see whether an endpoint works. */
export const TEST_EVENT_TYPE = 'webhook.test';

/** An event's name for ever: of order_events.id. */
export const eventName = (id: number): string => `evt_${id}`;

/** A test's: of webhook_deliveries.id. */
export const testEventName = (delivery_id: number): string => `evt_test_${delivery_id}`;
