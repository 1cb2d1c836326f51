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

/** What the buyer has to do before a payment goes on. `wait`: nothing. */
export type NextAction = { type: 'wait' | 'redirect' | 'upi'; url?: string };

/** One try to pay. `reversal_wanted`: its money has to go back; it is back at `voided` or `refunded`. */
export type Payment = {
  state: 'pending' | 'unknown' | 'authorized' | 'captured' | 'refunded' | 'voided' | 'declined';
  type?: PaymentType;
  psp?: string;
  amount?: number;
  captured?: number;
  refunded?: number;
  next_action?: NextAction | null;
  reversal_wanted?: boolean;
  decline_code?: string | null;
};

/** An event that leaves the state as it is tells of money or of a parcel. */
export type OrderEvent = {
  at: string;
  from: OrderState | null;
  to: OrderState;
  cause?: string;
  actor?: string;
  detail?: { amount?: number; currency?: string; code?: string | null } | null;
};

export type Shipment = {
  carrier?: string | null;
  tracking_number?: string | null;
  tracking_url?: string | null;
  recorded_at?: string;
};

export type Contact = { email?: string; phone?: string };

export type Order = {
  order_id: string;
  sale_id: string;
  state: OrderState;
  items: OrderItem[];
  amounts: Amounts;
  reservation?: { expires_at: string };
  payments?: Payment[];
  history?: OrderEvent[];
  /** Given back so far, minor units. */
  refunded?: number;
  shipment?: Shipment | null;
  contact?: Contact | null;
  as_of?: string;
  /** `reservation`: the ledger has not heard of it yet, or is away. */
  source?: 'ledger' | 'reservation';
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

export type PaymentType = 'card' | 'upi' | 'wallet';

export type PaymentMethod = { type: PaymentType; token: string };

export type CheckoutBody = {
  sale_id: string;
  items: { sku: string; qty: number }[];
  payment_method: PaymentMethod;
  shipping_address: ShippingAddress;
  contact?: Contact;
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
