/** The first line of the file: what is claimed. */
import { count, type Json, list, Malformed, object, text, textOrNull, truth } from './read.ts';

export type ClaimedSku = {
  sku: string;
  created: number;
  added: number;
  taken: number;
  total: number;
  reserved: number;
  sold: number;
  available: number;
  held: number;
  waiting_to_available: number;
  waiting_from_held: number;
};

export type Claim = {
  interim: boolean;
  missing: string[];
  made_at: string;
  tenant: string;
  sale: string;
  currency: string;
  limit_per_buyer: number;
  opens_at: string | null;
  closes_at: string | null;
  gate: string;
  applied_n: number;
  sealed_n: number;
  acked_n: number;
  movements_unsealed: number;
  events: number;
  last_id: number;
  head: string | null;
  unchained: number;
  skus: ClaimedSku[];
  /** Orders and money by state. */
  orders: Map<string, { orders: number; total: number }>;
  /** Attempts and money by provider, state and whether money is wanted back. */
  payments: Map<string, { attempts: number; amount: number; refunded: number }>;
  balanced: boolean;
};

export function readClaim(line: Json): Claim {
  if (line.kind !== 'certificate') throw new Malformed('the file does not begin with a certificate');
  if (line.format !== 1) throw new Malformed(`format ${String(line.format)} is not known here`);
  const movements = object(line.movements, 'movements');
  const history = object(line.history, 'history');
  return {
    interim: truth(line, 'interim'),
    missing: list(line, 'missing').map(String),
    made_at: text(line, 'made_at'),
    tenant: text(line, 'tenant'),
    sale: text(line, 'sale'),
    currency: text(line, 'currency'),
    limit_per_buyer: count(line, 'limit_per_buyer'),
    opens_at: textOrNull(line, 'opens_at'),
    closes_at: textOrNull(line, 'closes_at'),
    gate: text(line, 'gate'),
    applied_n: count(movements, 'applied_n'),
    sealed_n: count(movements, 'sealed_n'),
    acked_n: count(movements, 'acked_n'),
    movements_unsealed: count(movements, 'unsealed'),
    events: count(history, 'events'),
    last_id: count(history, 'last_id'),
    head: textOrNull(history, 'head'),
    unchained: count(history, 'unchained'),
    skus: list(line, 'skus').map((one) => readSku(object(one, 'a SKU'))),
    orders: new Map(
      list(line, 'orders').map((one) => {
        const row = object(one, 'orders');
        return [text(row, 'state'), { orders: count(row, 'orders'), total: count(row, 'total') }];
      }),
    ),
    payments: new Map(
      list(line, 'payments').map((one) => {
        const row = object(one, 'payments');
        const key = paymentKey(text(row, 'psp'), text(row, 'state'), truth(row, 'reversal_wanted'));
        const [attempts, amount, refunded] = ['attempts', 'amount', 'refunded'].map((name) =>
          count(row, name),
        );
        return [key, { attempts, amount, refunded }];
      }),
    ),
    balanced: truth(line, 'balanced'),
  };
}

export const paymentKey = (psp: string, state: string, wanted: boolean): string =>
  `${psp} ${state}${wanted ? ' wanted back' : ''}`;

function readSku(row: Json): ClaimedSku {
  const n = (name: string) => count(row, name);
  return {
    sku: text(row, 'sku'),
    created: n('created'),
    added: n('added'),
    taken: n('taken'),
    total: n('total'),
    reserved: n('reserved'),
    sold: n('sold'),
    available: n('available'),
    held: n('held'),
    waiting_to_available: n('waiting_to_available'),
    waiting_from_held: n('waiting_from_held'),
  };
}
