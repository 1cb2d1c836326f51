/** Shapes that every part of the house shares. Wire names, so that one word serves HTTP, Redis and SQL. */

export type Line = { sku: string; qty: number };

/** A line with the price snapshot taken when it was reserved, in minor units. */
export type PricedLine = { sku: string; qty: number; unit_price: number };

export type PaymentMethod = { type: 'card' | 'upi' | 'wallet'; token: string };

export type ShippingAddress = {
  name: string;
  line1: string;
  line2?: string;
  city: string;
  region?: string;
  postal_code: string;
  country: string;
};

/** `checkout`: reserve and pay by saga. `lock`: reserve only, the buyer goes on step by step. */
export type Road = 'checkout' | 'lock';

/** What an operator has set. `scheduled` opens by itself at the opening time. */
export const GATES = ['scheduled', 'open', 'paused', 'closed'] as const;
export type Gate = (typeof GATES)[number];

/** When a sale's money is taken. */
export const CAPTURES = ['at_once', 'on_shipment'] as const;
export type Capture = (typeof CAPTURES)[number];
