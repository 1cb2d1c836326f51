/**
 * What a reservation costs Redis: CPU at several batch sizes and memory per live reservation.
 * `npm run bench:redis`: a Redis of its own (appendfsync always), three SKUs an order, a purchase limit, distinct
 * buyers, idempotency record and stream append included. Script time is what Redis counts inside the
 * script (INFO commandstats); CPU is that of the whole process (INFO cpu), with sockets, AOF and fsync;
 * memory is MEMORY USAGE of the hashes (record and limit counter).
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Redis } from 'ioredis';
import { BATCHES_IN_FLIGHT_MAX } from '../domain/limits.ts';
import { bucketKey, saleKeys } from '../lua/keys.ts';
import { reserve } from '../lua/scripts.ts';
import { batchOf, connect, openTestSale, type TestRequest } from '../lua/testing/sale.ts';
import { startRedis } from '../platform/local/redis-server.ts';

const { values } = parseArgs({
  options: {
    reservations: { type: 'string', default: '100000' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(
    'npm run bench:redis -- [--reservations 100000] [--json]\nRedis CPU and memory per three-SKU reservation.',
  );
  process.exit(0);
}
const reservations = Number(values.reservations);
if (!Number.isInteger(reservations) || reservations < 1_000) {
  console.error('--reservations wants a whole number from 1000');
  process.exit(2);
}

const BATCH_SIZES = [1, 8, 32, 128, 512];
/** Engines, each a connection of its own with BATCHES_IN_FLIGHT_MAX under way: Redis is kept busy, as in a sale. */
const ENGINES = 4;
const SKUS = ['tee-black-m', 'mug-white', 'cap-navy'];

/** CPU seconds that Redis has used, main thread and I/O together. */
async function cpuSeconds(redis: Redis): Promise<number> {
  const info = await redis.info('cpu');
  return ['used_cpu_user', 'used_cpu_sys'].reduce(
    (sum, name) => sum + Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1]),
    0,
  );
}

function request(): TestRequest {
  return {
    id: randomBytes(16),
    fingerprint: randomBytes(16),
    buyer: randomBytes(16),
    lines: SKUS.map((sku) => ({ sku, qty: 1 })),
  };
}

async function measure(redis: Redis, engines: readonly Redis[], batch_size: number, count: number) {
  const items = SKUS.map((sku) => ({ sku, qty: 1_000_000_000 }));
  const sale = await openTestSale(redis, { tenant: 'bench', items, limit: 6 });
  const batches = Math.ceil(count / batch_size);
  // Made beforehand: only Redis is measured.
  const prepared = Array.from({ length: batches }, () =>
    batchOf(Array.from({ length: batch_size }, request)),
  );
  await redis.config('RESETSTAT');
  const before = await cpuSeconds(redis);
  const started = performance.now();
  let today = 0;
  async function flight(engine: Redis): Promise<void> {
    for (let batch = prepared.pop(); batch; batch = prepared.pop()) {
      const now_ms = Date.now();
      const reply = await reserve(engine, sale.token, batch, { now_ms, not_after_ms: now_ms + 60_000 });
      if (reply.kind !== 'done' || /[^a]/.test(reply.statuses))
        throw new Error('a reservation was not accepted');
      today = reply.today;
    }
  }
  const flights = engines.flatMap((engine) =>
    Array.from({ length: BATCHES_IN_FLIGHT_MAX }, () => flight(engine)),
  );
  await Promise.all(flights);
  const seconds = (performance.now() - started) / 1000;
  const cpu = (await cpuSeconds(redis)) - before;
  const script_us = Number(
    /cmdstat_evalsha:calls=\d+,usec=(\d+)/.exec(await redis.info('commandstats'))?.[1],
  );
  const taken = batches * batch_size;
  const usage = async (key: string) => (await redis.memory('USAGE', key, 'SAMPLES', 0)) ?? 0;
  const keys = saleKeys(sale.token);
  const records = await usage(bucketKey(sale.token, today));
  const counters = await usage(keys.buyers);
  const stream = await usage(keys.stream);
  await redis.unlink(bucketKey(sale.token, today), keys.buyers, keys.stream);
  return {
    batch_size,
    reservations: taken,
    script_us: script_us / taken,
    cpu_us: (cpu * 1e6) / taken,
    per_second: Math.round(taken / seconds),
    record_bytes: records / taken,
    counter_bytes: counters / taken,
    stream_bytes: stream / taken,
  };
}

const dir = mkdtempSync(join(tmpdir(), 'stampede-bench-'));
const server = await startRedis({ dir });
const redis = connect(server.url);
const engines = Array.from({ length: ENGINES }, () => connect(server.url));
try {
  await measure(redis, engines, 32, 2_000); // warm-up
  const rows = [];
  for (const size of BATCH_SIZES)
    rows.push(
      await measure(redis, engines, size, size === 1 ? Math.min(reservations, 20_000) : reservations),
    );
  if (values.json) {
    console.log(JSON.stringify(rows, null, 2));
  } else {
    console.log(
      'batch   script us   Redis CPU us   reservations/s   memory bytes (record + limit counter)   stream bytes',
    );
    for (const row of rows) {
      const memory = `${(row.record_bytes + row.counter_bytes).toFixed(0)} (${row.record_bytes.toFixed(0)} + ${row.counter_bytes.toFixed(0)})`;
      console.log(
        `${String(row.batch_size).padStart(5)}${row.script_us.toFixed(2).padStart(12)}${row.cpu_us.toFixed(2).padStart(15)}${String(row.per_second).padStart(17)}${memory.padStart(42)}${row.stream_bytes.toFixed(0).padStart(15)}`,
      );
    }
  }
} finally {
  for (const connection of [redis, ...engines]) connection.disconnect();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
}
