/** What the API answers, as far as the page reads it. Wire names. */

export type SaleState = 'scheduled' | 'open' | 'paused' | 'closed' | 'recovering';

/** `held`: in other buyers' checkouts. */
export type SaleItem = { sku: string; name: string; unit_price: number; available: number; held: number };

export type Sale = {
  id: string;
  state: SaleState;
  currency: string;
  opens_at: string | null;
  closes_at: string | null;
  limit_per_buyer: number;
  server_time: string;
  items: SaleItem[];
};

export type Amounts = { currency: string; total: number };

export type OrderItem = { sku: string; qty: number; unit_price: number };

/** The 201 of a checkout. */
export type Accepted = {
  order_id: string;
  sale_id: string;
  items: OrderItem[];
  amounts: Amounts;
  reservation: { expires_at: string; server_time: string };
};

export type OrderState =
  | 'reserved'
  | 'authorized'
  | 'confirmed'
  | 'shipped'
  | 'delivered'
  | 'expired'
  | 'payment_failed'
  | 'canceled'
  | 'refunded'
  | 'rejected';

/** `reversal_wanted`: its money has to go back; it is back at `voided` or `refunded`. */
export type Payment = { state: string; reversal_wanted?: boolean; decline_code?: string | null };

export type OrderEvent = { at: string; from: OrderState | null; to: OrderState; cause?: string };

export type Order = {
  order_id: string;
  sale_id: string;
  state: OrderState;
  items: OrderItem[];
  amounts: Amounts;
  reservation?: { expires_at: string };
  payments?: Payment[];
  history?: OrderEvent[];
};

export type ShippingAddress = {
  name: string;
  line1: string;
  line2?: string;
  city: string;
  region?: string;
  postal_code: string;
  country: string;
};

export type CheckoutBody = {
  sale_id: string;
  items: { sku: string; qty: number }[];
  payment_method: { type: 'card' | 'upi' | 'wallet'; token: string };
  shipping_address: ShippingAddress;
};

/** RFC 9457, with the members that single refusals add. */
export type Problem = {
  code: string;
  status: number;
  title?: string;
  detail?: string;
  request_id?: string;
  errors?: { path: string; message: string }[];
  short?: { sku: string; requested: number; available: number }[];
  earliest_release_at?: string;
  opens_at?: string;
  limit?: number;
  held?: number;
  state?: string;
};
