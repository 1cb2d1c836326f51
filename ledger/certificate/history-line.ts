/**
 * One event of a sale's history as a line of text, and the hash chain over such lines:
 *
 *     link 0 = SHA-256("stampede history 1\n" + JSON of [tenant, sale])
 *     link k = SHA-256(link k-1 as 32 bytes + line k as UTF-8)
 *
 * Lines are JSON with their members in the order given here and nothing between them. The chain is taken over the very
 * bytes that stand in a certificate, so nobody needs this code to compute it again (docs/certificate.md). Never change
 * how a line looks: a chain that exists could not be continued.
 */
import { createHash } from 'node:crypto';

/** An event of an order. `facts` stand in its first one alone. */
export type OrderEvent = {
  id: number;
  order_id: string;
  /** UTC with microseconds. */
  at: string;
  from_state: string | null;
  to_state: string;
  cause: string;
  actor: string;
  detail: Readonly<Record<string, unknown>> | null;
  /** Of the event that makes an order `refunded`: did its units go back on sale? Null for others. */
  restock: boolean | null;
  facts: OrderFacts | null;
};

/** What an order is, from its first moment on. */
export type OrderFacts = {
  /** Position of the stream entry that took its units. */
  seq: number;
  /** Hashes of the buyer and of the request, in hex. */
  buyer: string;
  fingerprint: string;
  road: string;
  currency: string;
  subtotal: number;
  discount: number;
  shipping: number;
  tax: number;
  total: number;
  /** By the Redis clock, as the buyer was told. */
  reserved_at: string;
  expires_at: string;
  limit_units: number;
  /** SKU, quantity, unit price. */
  items: [string, number, number][];
};

/** An event of the sale itself. */
export type SaleEvent = {
  id: number;
  at: string;
} & (
  | {
      kind: 'created' | 'topup' | 'reduce';
      sku: string;
      change: number;
      total: number;
      unit_price: number | null;
    }
  | { kind: 'gate'; gate: string; gate_version: number; seq: number }
);

export function orderLine(e: OrderEvent): string {
  return JSON.stringify({
    kind: 'event',
    id: e.id,
    order: e.order_id,
    at: e.at,
    from: e.from_state,
    to: e.to_state,
    cause: e.cause,
    actor: e.actor,
    ...(e.detail && { detail: sorted(e.detail) }),
    ...(e.restock !== null && { restock: e.restock }),
    ...(e.facts && { facts: e.facts }),
  });
}

export function saleLine(e: SaleEvent): string {
  const { id, at } = e;
  return e.kind === 'gate'
    ? JSON.stringify({ kind: e.kind, id, at, gate: e.gate, version: e.gate_version, seq: e.seq })
    : JSON.stringify({
        kind: e.kind,
        id,
        at,
        sku: e.sku,
        change: e.change,
        total: e.total,
        unit_price: e.unit_price,
      });
}

/** The ledger keeps no order of members. */
function sorted(detail: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(detail).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function chainStart(tenant: string, sale: string): Buffer {
  return createHash('sha256')
    .update(`stampede history 1\n${JSON.stringify([tenant, sale])}`)
    .digest();
}

export function chainLink(head: Buffer, line: string): Buffer {
  return createHash('sha256').update(head).update(line, 'utf8').digest();
}
