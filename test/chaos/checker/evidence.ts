/** What a judgment rests on: the clients' history, the rows of the ledger, the provider's record. Plain data. */
import type {
  BuyLine,
  DeedLine,
  FaultLine,
  Line,
  OperateLine,
  SaleLine,
  SavedLine,
  StockLine,
} from './lines.ts';

export type OrderRow = {
  id: string;
  sale: string;
  buyer: string;
  email: string | null;
  state: string;
  restock: boolean;
  currency: string;
  total: number;
  subtotal: number;
  seq: number;
  items: { sku: string; qty: number; unit_price: number }[];
  /** Parts given back, as the ledger has it. */
  refunds_done: number;
  refunds_open: number;
  unfinished_attempts: number;
};

export type SkuRow = {
  sale: string;
  sku: string;
  total: number;
  reserved: number;
  sold: number;
};

/** What left stock's ledger side for one order and SKU, all movements together. */
export type MovementRow = {
  order_id: string | null;
  sale: string;
  sku: string;
  to_available: number;
  from_held: number;
};

export type SaleRow = {
  sale: string;
  gate: string;
  fenced_reason: string | null;
  seq: number;
  applied_n: number;
  acked_n: number;
  sealed_n: number;
  unsealed: number;
};

/** In the order of their ids. */
export type EventRow = { order_id: string; from_state: string | null; to_state: string; cause: string };

export type LedgerRows = {
  sales: SaleRow[];
  skus: SkuRow[];
  orders: OrderRow[];
  movements: MovementRow[];
  events: EventRow[];
};

/** A payment as the provider has it. */
export type Payment = {
  id: string;
  order_id: string;
  status: string;
  amount: number;
  currency: string;
  captured: number;
  refunded: number;
};

export type Evidence = {
  sales: Map<string, SaleLine>;
  buys: BuyLine[];
  deeds: DeedLine[];
  operated: OperateLine[];
  saved: SavedLine[];
  faults: FaultLine[];
  stock: StockLine[];
  surprises: string[];
  ledger: LedgerRows;
  payments: Payment[];
};

/** `rule`: which promise; `what`: what is not so, for a reader. */
export type Violation = { rule: string; what: string };

export type Finding = { checked: number; violations: Violation[] };

export function gather(lines: readonly Line[], ledger: LedgerRows, payments: Payment[]): Evidence {
  const of = <T extends Line['t']>(t: T) =>
    lines.filter((line): line is Extract<Line, { t: T }> => line.t === t);
  return {
    sales: new Map(of('sale').map((line) => [line.sale, line])),
    buys: of('buy'),
    deeds: of('deed'),
    operated: of('operate'),
    saved: of('saved'),
    faults: of('fault'),
    stock: of('stock'),
    surprises: of('surprise').map(({ what }) => what),
    ledger,
    payments,
  };
}

export function groupBy<T>(list: readonly T[], name: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of list) {
    const key = name(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** States in which an order's units are its buyer's, or held for it. */
export const HOLDING = ['reserved', 'authorized', 'confirmed', 'shipped', 'delivered'];
export const SOLD = ['confirmed', 'shipped', 'delivered'];
const RELEASED = ['expired', 'payment_failed', 'canceled'];

export function hasReleased(order: { state: string; restock: boolean }): boolean {
  return RELEASED.includes(order.state) || (order.state === 'refunded' && order.restock);
}
