/**
 * An order as it travels through the stream to the ledger: packed by the engine before the script runs,
 * so the script copies bytes and never looks inside. What only the script knows (time, day) stands in
 * the entry's header.
 */
import type { Contact } from '../domain/contact.ts';
import type { Amounts } from '../domain/pricing.ts';
import type { PaymentMethod, PricedLine, Road, ShippingAddress } from '../domain/types.ts';
import { pack, unpackAll } from './packing.ts';

/** Version 1 had no contact; entries written by an engine of that time may still be in a stream. */
const VERSION = 2;
const LENGTH_OF_VERSION: Readonly<Record<number, number>> = { 1: 11, 2: 12 };

export type OrderPayload = {
  /** 16 bytes: the request (see domain/ids.ts). */
  hash: Buffer;
  buyer: string;
  buyer_hash: Buffer;
  fingerprint: Buffer;
  road: Road;
  /** Units counted against the buyer's limit; 0 where the sale has none. */
  limit_units: number;
  lines: readonly PricedLine[];
  amounts: Amounts;
  payment_method: PaymentMethod | null;
  shipping_address: ShippingAddress | null;
  contact: Contact | null;
};

export function encodeOrderPayload(order: OrderPayload): Buffer {
  const lines: (string | number)[] = [];
  for (const line of order.lines) lines.push(line.sku, line.qty, line.unit_price);
  const a = order.amounts;
  return pack([
    VERSION,
    order.hash,
    order.buyer,
    order.buyer_hash,
    order.fingerprint,
    order.road,
    order.limit_units,
    lines,
    [a.currency, a.subtotal, a.discount, a.shipping, a.tax, a.total],
    order.payment_method,
    order.shipping_address,
    order.contact,
  ]);
}

/** The orders of one entry, in the order in which the script took them. Throws on bytes that are not orders. */
export function decodeOrderPayloads(bytes: Buffer): OrderPayload[] {
  return unpackAll(bytes).map(decodeOne);
}

function decodeOne(value: unknown): OrderPayload {
  if (!Array.isArray(value) || value.length !== LENGTH_OF_VERSION[value[0]])
    throw new Error('not an order payload');
  const [
    ,
    hash,
    buyer,
    buyer_hash,
    fingerprint,
    road,
    limit_units,
    flat,
    amounts,
    payment_method,
    shipping_address,
    contact = null,
  ] = value;
  if (![hash, buyer_hash, fingerprint].every((part) => Buffer.isBuffer(part) && part.length === 16)) {
    throw new Error('order payload without its hashes');
  }
  if (
    typeof buyer !== 'string' ||
    (road !== 'checkout' && road !== 'lock') ||
    !Number.isSafeInteger(limit_units)
  ) {
    throw new Error('order payload without its buyer');
  }
  return {
    hash,
    buyer,
    buyer_hash,
    fingerprint,
    road,
    limit_units,
    lines: decodeLines(flat),
    amounts: decodeAmounts(amounts),
    payment_method,
    shipping_address,
    contact,
  };
}

function decodeLines(flat: unknown): PricedLine[] {
  if (!Array.isArray(flat) || flat.length === 0 || flat.length % 3 !== 0)
    throw new Error('order payload without lines');
  const lines: PricedLine[] = [];
  for (let i = 0; i < flat.length; i += 3) {
    const [sku, qty, unit_price] = [flat[i], flat[i + 1], flat[i + 2]];
    if (typeof sku !== 'string' || !(qty >= 1) || !(unit_price >= 0))
      throw new Error('order payload with a bad line');
    lines.push({ sku, qty, unit_price });
  }
  return lines;
}

function decodeAmounts(value: unknown): Amounts {
  if (!Array.isArray(value) || value.length !== 6) throw new Error('order payload without amounts');
  const [currency, subtotal, discount, shipping, tax, total] = value;
  if (
    typeof currency !== 'string' ||
    ![subtotal, discount, shipping, tax, total].every(Number.isSafeInteger)
  ) {
    throw new Error('order payload with bad amounts');
  }
  return { currency, subtotal, discount, shipping, tax, total };
}
