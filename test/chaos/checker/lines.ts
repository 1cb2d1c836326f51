/** The lines of a history: what clients and harness write, and the checker reads. Times in ms since the run began. */

/** What a request asked for. */
export type Item = { sku: string; qty: number };

/** How a request came to be. */
export type BuyKind = 'fresh' | 'retry' | 'altered' | 'abort' | 'invalid' | 'again' | 'replay';

export type SaleLine = {
  t: 'sale';
  sale: string;
  /** Units of each SKU at the beginning, and its price. */
  items: { sku: string; qty: number; unit_price: number }[];
  limit: number;
  currency: string;
};

/** A checkout or a lock: everything that can take stock. */
export type BuyLine = {
  t: 'buy';
  kind: BuyKind;
  road: 'checkout' | 'lock';
  /** Which one was asked. */
  engine: number;
  sent: number;
  /** When the answer was there, or nobody waited any more. */
  done: number;
  sale: string;
  buyer: string;
  /** Its Idempotency-Key; orders carry it in their contact, so that they are found by it. */
  key: string;
  items: Item[];
  /** Absent: no answer, so nobody knows. */
  status?: number;
  code?: string;
  replayed?: boolean;
  /** Of a 201, to the letter. */
  text?: string;
};

/** What a client or an operator did to an order. */
export type DeedLine = {
  t: 'deed';
  deed: 'initiate' | 'confirm' | 'cancel' | 'ship' | 'deliver' | 'refund_part' | 'return';
  sent: number;
  done: number;
  order_id: string;
  amount?: number;
  status?: number;
  code?: string;
};

/** What an operator did to a sale. */
export type OperateLine = {
  t: 'operate';
  verb: 'topup' | 'reduce' | 'pause' | 'resume' | 'close';
  sent: number;
  done: number;
  sale: string;
  key?: string;
  /** Asked for; of a reduce that was answered, what it took. */
  items?: Item[];
  taken?: Item[];
  status?: number;
  code?: string;
};

/**
 * An acknowledged order was found in the ledger: everything acknowledged for this sale before it was asked for is there, too,
 * because a sale has one order of events.
 */
export type SavedLine = { t: 'saved'; at: number; sale: string; sent: number; order_id: string };

export type FaultLine = {
  t: 'fault';
  no: number;
  class: string;
  name: string;
  detail: string;
  from: number;
  to: number;
  /** Another one that was under way at the same time. */
  pair?: number;
  /**
   * `all`: nothing acknowledged may be missing. `unsaved`: what was asked for until `lost_until`, and was not in the ledger
   * yet at `lost_from`, may be.
   */
  promise: 'all' | 'unsaved';
  lost_from?: number;
  lost_until?: number;
  /** It could not be carried out to its end, and does not count. */
  failed?: true;
  /** From its end until every sale gave a final answer again, ms; absent if that did not come while it was waited for. */
  recovered_ms?: number;
};

/** At the end, from the API: what Redis holds. */
export type StockLine = {
  t: 'stock';
  sale: string;
  items: { sku: string; available: number; held: number }[];
};

/** A process ended by itself. */
export type SurpriseLine = { t: 'surprise'; what: string };

export type Line =
  | SaleLine
  | BuyLine
  | DeedLine
  | OperateLine
  | SavedLine
  | FaultLine
  | StockLine
  | SurpriseLine;
