/** A loaded, open sale on a real Redis, for tests of the verbs. */
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { priceOrder } from '../../domain/pricing.ts';
import type { Gate, Line } from '../../domain/types.ts';
import { encodeOrderPayload } from '../order-payload.ts';
import { encodeAnswer } from '../reservation-record.ts';
import { columns, questionOf } from '../reserve-batch.ts';
import { load, loadItems, type ReserveBatch, readChunk, type SaleToken, verifyOpen } from '../scripts.ts';

export type TestSale = { token: SaleToken; route: Buffer; salt: Buffer; redis: Redis };

export type TestSaleOptions = {
  tenant: string;
  items: readonly { sku: string; qty: number }[];
  limit?: number;
  hold_ms?: number;
  gate?: Gate;
  opens_at_ms?: number;
  closes_at_ms?: number;
  /** Leave the recovery gate closed, as after load. */
  unverified?: boolean;
};

export async function openTestSale(redis: Redis, options: TestSaleOptions): Promise<TestSale> {
  const token: SaleToken = {
    tenant: options.tenant,
    sale: `s${randomBytes(4).toString('hex')}`,
    generation: 1,
    epoch: 1,
  };
  const route = randomBytes(6);
  const salt = randomBytes(32);
  await loadItems(
    redis,
    token,
    options.items.map(({ sku, qty }, position) => ({ sku, position, name: sku, unit_price: 100, qty })),
  );
  const fields = {
    gate: options.gate ?? 'open',
    gate_version: 1,
    opens_at_ms: options.opens_at_ms ?? 0,
    closes_at_ms: options.closes_at_ms ?? 0,
    hold_ms: options.hold_ms ?? 60_000,
    limit: options.limit ?? 0,
    salt,
    route,
    currency: 'USD',
  };
  await load(redis, token, fields, options.items.length);
  if (options.unverified) return { token, route, salt, redis };
  return { token: { ...token, epoch: await openVerified(redis, token, route) }, route, salt, redis };
}

/** What the reconciler does once it has checked a sale: reopens it under the next epoch, which is returned. */
export async function openVerified(redis: Redis, token: SaleToken, route: Buffer): Promise<number> {
  const chunk = await readChunk(
    redis,
    { ...token, route },
    { after_seq: Number.MAX_SAFE_INTEGER - 1, count: 1 },
  );
  if (chunk.kind !== 'chunk') throw new Error('no record');
  const epoch = chunk.epoch + 1;
  const opened = await verifyOpen(redis, token, { ...chunk, old_epoch: chunk.epoch }, { ...chunk, epoch });
  if (opened !== 'opened') throw new Error(opened);
  return epoch;
}

/** Connects with a retry-free client that the test closes. */
export function connect(url: string): Redis {
  return new Redis(url, { protocol: 2 });
}

export type TestRequest = {
  id: Buffer;
  fingerprint: Buffer;
  buyer: Buffer;
  lines: readonly Line[];
  /** Without what only a success needs (see reserve.lua). */
  question?: boolean;
};

/** The columns of a batch, as an engine would make them at a price of 100 a unit. */
export function batchOf(requests: readonly TestRequest[]): ReserveBatch {
  return columns(
    requests.map(({ id, fingerprint, buyer, lines: wanted, question }) => {
      const lines = wanted.map((line) => ({ ...line, unit_price: 100 }));
      if (question) return questionOf({ id, buyer_hash: buyer, lines });
      const amounts = priceOrder('USD', lines);
      return {
        id,
        fingerprint,
        buyer_hash: buyer,
        lines,
        answer: encodeAnswer(
          'checkout',
          amounts,
          lines,
          lines.map((_line, i) => i),
        ),
        payload: encodeOrderPayload({
          hash: id,
          buyer: buyer.toString('hex'),
          buyer_hash: buyer,
          fingerprint,
          road: 'checkout',
          limit_units: lines.reduce((sum, line) => sum + line.qty, 0),
          lines,
          amounts,
          payment_method: { type: 'card', token: 'pm_ok' },
          shipping_address: null,
          contact: null,
        }),
      };
    }),
  );
}
