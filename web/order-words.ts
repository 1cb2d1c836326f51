/** The states of an order in plain words. What an order's payments add to them is in order-outlook.ts. */
import type { OrderState } from './api-types.ts';

/** `moving`: goes on by itself. `good` and `bad` are ends for the buyer. */
export type Mood = 'moving' | 'good' | 'bad';

type Row = {
  /** Heading of the order. */
  title: string;
  /** A line of the timeline. */
  event: string;
  text: string;
  mood: Mood;
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
    text: 'No payment came in time, so the units went back on sale.',
    mood: 'bad',
    cancelable: false,
  },
  payment_failed: {
    title: 'Payment declined',
    event: 'Not paid; units back on sale',
    text: 'The units went back on sale.',
    mood: 'bad',
    cancelable: false,
  },
  canceled: {
    title: 'Canceled',
    event: 'Canceled',
    text: 'The units went back on sale.',
    mood: 'bad',
    cancelable: false,
  },
  refunded: {
    title: 'Refunded',
    event: 'Refund decided',
    text: 'The shop gives all of the money back.',
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

export function stateRow(state: OrderState): Row {
  return STATES[state];
}
