/**
 * What the sandbox's journal says about the money of each order: the independent witness of "nobody is charged twice,
 * nobody pays for nothing". Reads the file alone and shares no code with what wrote the ledger. All wires' payments count.
 */
import { readJournal } from './journal.ts';
import type { SandboxPayment } from './payment.ts';

export type OrderMoney = {
  payments: number;
  /** Payments captured at any time, and those captured and not wholly refunded. */
  captures: number;
  unreversed_captures: number;
  captured: number;
  refunded: number;
  /** Of `refunded`: by an operator's wish, which carries an id in its idempotency key. */
  refunded_by_operator: number;
  refunds: { amount: number; key: string | null }[];
  /** Authorizations neither captured nor voided, and payments still pending. */
  open: number;
  /** Payments made and never confirmed: they charge nothing. */
  unconfirmed: number;
};

export type Testimony = {
  payments: number;
  orders: Map<string, OrderMoney>;
  captured: number;
  refunded: number;
  /** Orders with more than one unreversed capture: must be empty. */
  charged_twice: string[];
  /** Orders with an authorization or a pending payment left: must be empty in the end. */
  open: string[];
};

/** `<attempt>:refund:<refund's UUID>`; a reversal has no id of its own. */
const OPERATORS_KEY = /:refund:[0-9a-f]{8}-/;

export async function testimony(journal_path: string): Promise<Testimony> {
  const payments = new Map<string, SandboxPayment>();
  await readJournal(journal_path, (line) => {
    if (line.kind === 'payment') payments.set(line.payment.id, line.payment);
  });
  const orders = new Map<string, OrderMoney>();
  const sums = { captured: 0, refunded: 0 };
  for (const payment of payments.values()) {
    const order = orders.get(payment.order_id) ?? nothing();
    orders.set(payment.order_id, order);
    count(order, payment);
    sums.captured += payment.captured;
    sums.refunded += payment.refunded;
  }
  const named = (test: (order: OrderMoney) => boolean) =>
    [...orders].filter(([, order]) => test(order)).map(([id]) => id);
  return {
    payments: payments.size,
    orders,
    ...sums,
    charged_twice: named((order) => order.unreversed_captures > 1),
    open: named((order) => order.open > 0),
  };
}

function count(order: OrderMoney, payment: SandboxPayment): void {
  const { status } = payment;
  order.payments += 1;
  order.captured += payment.captured;
  order.refunded += payment.refunded;
  if (status === 'captured' || status === 'refunded') order.captures += 1;
  if (status === 'captured') order.unreversed_captures += 1;
  if (status === 'authorized' || status === 'pending') order.open += 1;
  if (status === 'created') order.unconfirmed += 1;
  for (const { amount, key } of payment.refunds ?? []) {
    order.refunds.push({ amount, key });
    if (key !== null && OPERATORS_KEY.test(key)) order.refunded_by_operator += amount;
  }
}

function nothing(): OrderMoney {
  return {
    ...{ payments: 0, captures: 0, unreversed_captures: 0, captured: 0, refunded: 0 },
    ...{ refunded_by_operator: 0, refunds: [], open: 0, unconfirmed: 0 },
  };
}
