/** A Redis that a proof breaks, outside of any test run, and a sale in it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { Reserve, ReserveOutcome } from '../../../engine/checkout/port.ts';
import { createReserve } from '../../../engine/checkout/reserve.ts';
import { readSale } from '../../../engine/sales/read-sale.ts';
import type { Sale } from '../../../engine/sales/sale.ts';
import { saleKeys } from '../../../lua/keys.ts';
import { readChunk } from '../../../lua/scripts.ts';
import { connect } from '../../../lua/testing/sale.ts';
import { type RedisServer, startRedis } from '../../../platform/local/redis-server.ts';
import { lastWill } from '../../support/last-will.ts';

export type BrokenRedis = {
  folder: string;
  port: number;
  url: string;
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
};

export async function startBrokenRedis(
  settings: Readonly<Record<string, string>> = {},
): Promise<BrokenRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'stampede-proof-'));
  let server: RedisServer = await startRedis({ dir: folder, settings });
  let revoke = lastWill([server.pid], folder);
  return {
    ...{ folder, port: server.port, url: server.url },
    kill: () => server.kill(),
    async start() {
      revoke();
      server = await startRedis({ dir: folder, settings, port: server.port });
      revoke = lastWill([server.pid], folder);
    },
    async close() {
      await server.kill();
      revoke();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What a proof came to. */
export type Proof = { what: string; done: Record<string, number>; wrong: string[] };

export type ProofOptions = { times: number; seed: number; progress?: (line: string) => void };

/** A busy machine is no outage. */
const PATIENCE_MS = 60_000;

/** An engine on a connection, and everything that it could not make sense of. */
export async function engineOn(
  redis: Redis,
  direct: string,
  sale_id: string,
): Promise<{ sale: Sale; reserve: Reserve; failures: unknown[] }> {
  const admin = connect(direct);
  const sale = await readSale(admin, 'default', sale_id);
  admin.disconnect();
  if (!sale) throw new Error('no sale');
  const failures: unknown[] = [];
  const observe = { batch() {}, pending() {}, failed: (error: unknown) => failures.push(error) };
  return { sale, reserve: createReserve({ redis, observe, deadline_ms: PATIENCE_MS }), failures };
}

export function buyOne(reserve: Reserve, sale: Sale, key: string): Promise<ReserveOutcome> {
  return reserve({
    ...{ sale, buyer: `buyer-${key}`, key, fingerprint: () => Buffer.alloc(16, 1), road: 'checkout' },
    ...{ lines: [{ sku: 'a', qty: 1 }], payment_method: { type: 'card', token: 'pm_ok' } },
    ...{ shipping_address: null, contact: null },
  });
}

/** How many units and keys a sale has taken: in its counters, its records and its stream. */
export async function taken(
  redis: Redis,
  sale: Sale,
  units: number,
): Promise<{ units: number; records: number; streamed: number }> {
  const k = saleKeys(sale.token);
  const names = await redis.keys(`${k.available.replace(/available$/, 'r')}[0-9]*`);
  const lengths = await Promise.all(names.map((name) => redis.hlen(name)));
  let streamed = 0;
  for (let after_seq = 0; ; ) {
    const chunk = await readChunk(redis, { ...sale.token, route: sale.route }, { after_seq, count: 200 });
    if (chunk.kind !== 'chunk') throw new Error('no record');
    if (chunk.entries.length === 0) break;
    for (const entry of chunk.entries) streamed += entry.orders.length;
    after_seq = chunk.entries[chunk.entries.length - 1].seq;
  }
  return {
    units: units - Number(await redis.hget(k.available, 'a')),
    records: lengths.reduce((sum, length) => sum + length, 0),
    streamed,
  };
}
