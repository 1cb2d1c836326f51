/**
 * Stream entries, decoded. An entry's id is the sale's sequence number, so `seq` is the position.
 */
import { createHash } from 'node:crypto';
import { encodeOrderId } from '../domain/ids.ts';
import type { Gate } from '../domain/types.ts';
import { decodeOrderPayloads, type OrderPayload } from './order-payload.ts';
import { unpack } from './packing.ts';

export const ENTRY_VERBS = ['load', 'reserve', 'apply', 'reduce', 'gate', 'rebuild'] as const;
export type EntryVerb = (typeof ENTRY_VERBS)[number];

export type StreamOrder = Omit<OrderPayload, 'hash'> & {
  order_id: string;
  reserved_at_ms: number;
  expires_at_ms: number;
};

export type StreamEntry = {
  seq: number;
  verb: EntryVerb;
  /** Redis clock. */
  at_ms: number;
  /** Number of the last movement batch applied when the entry was written, this one included. */
  applied_n: number;
  /** After this entry, for the SKUs it touched. */
  stock: { sku: string; available: number; held: number }[];
  /** `reserve`: the orders taken, in order. Empty for other verbs. */
  orders: StreamOrder[];
  reduce?: { request_id: string; taken: { sku: string; qty: number }[] };
  gate?: { gate: Gate; version: number };
  /** SHA-256 over the entry as it lies in the stream. */
  digest: Buffer;
};

/** As XRANGE gives it: id and field, value, field, value ... */
export type RawEntry = [id: Buffer, fields: Buffer[]];

/** An entry that is there but can't be read. Never skipped: the sale is fenced until an operator decides. */
export class UndecodableEntry extends Error {
  readonly seq: number;
  readonly raw: RawEntry;

  constructor(seq: number, raw: RawEntry, cause: unknown) {
    super(`stream entry ${seq} can't be decoded`, { cause });
    this.name = 'UndecodableEntry';
    this.seq = seq;
    this.raw = raw;
  }
}

type Header = {
  at: number;
  n: number;
  sku: string[];
  av: number[];
  he: number[];
  day?: number;
  hold?: number;
  request_id?: string;
  taken?: number[];
  gate?: Gate;
  version?: number;
};

/** SHA-256 over id and fields, each with its length. */
export function entryDigest(raw: RawEntry): Buffer {
  const hash = createHash('sha256');
  for (const part of [raw[0], ...raw[1]]) hash.update(`${part.length}:`).update(part);
  return hash.digest();
}

/** Decodes one entry of the sale with this route. Throws UndecodableEntry. */
export function decodeEntry(raw: RawEntry, route: Buffer): StreamEntry {
  const seq = Number(raw[0].toString('latin1').split('-')[0]);
  try {
    const fields = new Map<string, Buffer>();
    for (let i = 0; i + 1 < raw[1].length; i += 2) fields.set(raw[1][i].toString('latin1'), raw[1][i + 1]);
    const verb = fields.get('v')?.toString('latin1') as EntryVerb;
    if (!ENTRY_VERBS.includes(verb)) throw new Error(`unknown verb ${verb}`);
    const header = decodeHeader(fields.get('h'));
    const entry: StreamEntry = {
      seq,
      verb,
      at_ms: header.at,
      applied_n: header.n,
      stock: header.sku.map((sku, i) => ({ sku, available: header.av[i], held: header.he[i] })),
      orders: verb === 'reserve' ? decodeOrders(fields.get('o'), header, route) : [],
      digest: entryDigest(raw),
    };
    if (verb === 'reduce') entry.reduce = decodeReduce(header);
    if (verb === 'gate' || verb === 'rebuild') entry.gate = decodeGate(header);
    return entry;
  } catch (cause) {
    throw new UndecodableEntry(seq, raw, cause);
  }
}

function decodeHeader(bytes: Buffer | undefined): Header {
  if (!bytes) throw new Error('no header');
  const header = unpack(bytes) as Header;
  const { at, n, sku, av, he } = header;
  const lists = [sku, av, he].every((list) => Array.isArray(list) && list.length === sku.length);
  if (!Number.isSafeInteger(at) || !Number.isSafeInteger(n) || !lists) throw new Error('bad header');
  if (![...av, ...he].every((count) => Number.isSafeInteger(count) && count >= 0))
    throw new Error('bad stock');
  return header;
}

function decodeOrders(bytes: Buffer | undefined, header: Header, route: Buffer): StreamOrder[] {
  const { at, day, hold } = header;
  if (!bytes || day === undefined || hold === undefined) throw new Error('no orders');
  // Field by field: spreading costs more than the rest of it.
  return decodeOrderPayloads(bytes).map((order) => ({
    order_id: encodeOrderId({ route, day, hash: order.hash }),
    buyer: order.buyer,
    buyer_hash: order.buyer_hash,
    fingerprint: order.fingerprint,
    road: order.road,
    limit_units: order.limit_units,
    lines: order.lines,
    amounts: order.amounts,
    payment_method: order.payment_method,
    shipping_address: order.shipping_address,
    contact: order.contact,
    reserved_at_ms: at,
    expires_at_ms: at + hold,
  }));
}

function decodeReduce(header: Header): StreamEntry['reduce'] {
  const { request_id, taken, sku } = header;
  if (request_id === undefined || taken?.length !== sku.length) throw new Error('bad reduce');
  return { request_id, taken: sku.map((name, i) => ({ sku: name, qty: taken[i] })) };
}

function decodeGate(header: Header): StreamEntry['gate'] {
  const { gate, version } = header;
  if (gate === undefined || version === undefined) throw new Error('bad gate');
  return { gate, version };
}

/** The entries up to the first that can't be read. Throws UndecodableEntry where that is the first of all. */
export function decodeEntries(raws: readonly RawEntry[], route: Buffer): StreamEntry[] {
  const entries: StreamEntry[] = [];
  for (const raw of raws) {
    try {
      entries.push(decodeEntry(raw, route));
    } catch (error) {
      if (!(error instanceof UndecodableEntry) || entries.length === 0) throw error;
      break;
    }
  }
  return entries;
}
