/** The states of an order in plain words, and which of them leave something to wait for. */
import type { Order, OrderEvent, OrderState } from './api-types.ts';

type Row = {
  /** Heading of the order. */
  title: string;
  /** A line of the timeline. */
  event: string;
  text: string;
  /** `moving`: goes on by itself. `good` and `bad` are ends for the buyer. */
  mood: 'moving' | 'good' | 'bad';
  cancelable: boolean;
};

const STATES: Readonly<Record<OrderState, Row>> = {
  reserved: {
    title: 'Held for you',
    event: 'Reserved',
    text: 'Nobody else can buy these units while your payment is under way.',
    mood: 'moving',
    cancelable: true,
  },
  authorized: {
    title: 'Payment approved',
    event: 'Payment approved',
    text: 'Your bank said yes. The order is being confirmed.',
    mood: 'moving',
    cancelable: true,
  },
  confirmed: {
    title: 'Confirmed',
    event: 'Confirmed',
    text: 'It is yours. You can cancel until it is shipped.',
    mood: 'good',
    cancelable: true,
  },
  shipped: {
    title: 'Shipped',
    event: 'Shipped',
    text: 'Your order is on its way.',
    mood: 'good',
    cancelable: false,
  },
  delivered: {
    title: 'Delivered',
    event: 'Delivered',
    text: 'Your order has arrived.',
    mood: 'good',
    cancelable: false,
  },
  expired: {
    title: 'Hold expired',
    event: 'Hold expired',
    text: 'No payment came in time, so the units went back on sale. Money that still arrives is given back. You can buy again.',
    mood: 'bad',
    cancelable: false,
  },
  payment_failed: {
    title: 'Payment declined',
    event: 'Payment declined',
    text: 'Nothing was charged and the units went back on sale. Choose another way to pay and buy again.',
    mood: 'bad',
    cancelable: false,
  },
  canceled: {
    title: 'Canceled',
    event: 'Canceled',
    text: 'The units went back on sale. Money that was taken is given back.',
    mood: 'bad',
    cancelable: false,
  },
  refunded: {
    title: 'Refunded',
    event: 'Refunded',
    text: 'The money was given back.',
    mood: 'bad',
    cancelable: false,
  },
  rejected: {
    title: 'Not possible after all',
    event: 'Rejected',
    text: 'There was no unit for this order. You are not charged. We are sorry.',
    mood: 'bad',
    cancelable: false,
  },
};

const DECLINES: Readonly<Record<string, string>> = {
  card_declined: 'The bank declined the payment.',
  insufficient_funds: 'The bank says there is not enough money on it.',
  invalid_token: 'The payment provider does not know this way to pay.',
};

export function stateRow(state: OrderState): Row {
  return STATES[state];
}

/** Is money on its way back to the buyer? */
export function isPayingBack(order: Order): boolean {
  const back = ['voided', 'refunded', 'declined'];
  return (
    order.payments?.some(({ state, reversal_wanted }) => reversal_wanted && !back.includes(state)) ?? false
  );
}

/** What to tell below the heading; a decline names its reason. */
export function orderText(order: Order): string {
  const reason = order.payments?.map(({ decline_code }) => DECLINES[decline_code ?? '']).find(Boolean);
  const { text } = STATES[order.state];
  return order.state === 'payment_failed' && reason ? `${reason} ${text}` : text;
}

/** A line of the timeline. An event that leaves the state as it is tells of money that went back. */
export function eventText({ from, to, cause }: OrderEvent): string {
  if (from !== to) return stateRow(to).event;
  return cause === 'payment_refunded' ? 'Payment refunded' : 'Payment released';
}
