/** The wire formats that the sandbox speaks besides its own, by the name of their mount. */
import { midtransWire } from './midtrans.ts';
import { paypalWire } from './paypal.ts';
import { razorpayWire } from './razorpay.ts';
import { stripeWire } from './stripe.ts';
import type { WireMaker } from './wire.ts';

export const WIRES: Readonly<Record<string, WireMaker>> = {
  stripe: stripeWire,
  midtrans: midtransWire,
  razorpay: razorpayWire,
  paypal: paypalWire,
};
