/**
 * How fast the ledger ingests: orders of three items, taken by Redis in batches of 32, read from the stream and
 * written to Postgres (fsync on) with their events and payment jobs. Own servers in a temporary folder.
 *
 *     npm run bench:ingest -- [orders]
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '../ledger/migrate.ts';
import { enqueueAuthorize } from '../payments/jobs/enqueue.ts';
import { installJobs } from '../payments/jobs/install.ts';
import { removePostgres, startPostgres } from '../platform/local/postgres-server.ts';
import { redisBinary } from '../platform/local/redis-binary.ts';
import { startRedis } from '../platform/local/redis-server.ts';
import { createPool } from '../platform/postgres.ts';
import { connectRedis, redisReady } from '../platform/redis.ts';
import { rig } from '../test/support/reconciler.ts';

const ORDERS = Number(process.argv[2] ?? 50_000);
const BATCH = 32;
const SKUS = ['a', 'b', 'c'];

const dir = mkdtempSync(join(tmpdir(), 'stampede-bench-'));
chmodSync(dir, 0o711);
const postgres = await startPostgres({ dir: join(dir, 'postgres') });
const server = await startRedis({ dir: join(dir, 'redis'), binary: await redisBinary(console.log) });
try {
  await migrate(postgres.url);
  const db = createPool({ url: postgres.url, max: 5, application_name: 'bench', on_error: () => {} });
  await installJobs(db);
  const redis = connectRedis(server.url);
  redis.on('error', () => {});
  await redisReady(redis, 5_000);
  const sale = await rig({
    db,
    redis,
    items: SKUS.map((sku) => ({ sku, qty: ORDERS })),
    deps: { enqueueAuthorize },
  });
  await sale.settle();
  const row = await sale.sale();
  const lines = SKUS.map((sku) => ({ sku, qty: 1 }));
  for (let taken = 0; taken < ORDERS; taken += BATCH) {
    await sale.reserveBlind(
      row,
      Array.from({ length: Math.min(BATCH, ORDERS - taken) }, () => ({ lines })),
    );
  }
  const cpu = process.cpuUsage();
  const begun = performance.now();
  let chunks = 0;
  const slowest = { ms: 0 };
  for (let result = 'more'; result === 'more'; chunks++) {
    const step_begun = performance.now();
    result = await sale.follower.step();
    slowest.ms = Math.max(slowest.ms, performance.now() - step_begun);
  }
  const seconds = (performance.now() - begun) / 1000;
  const used = process.cpuUsage(cpu);
  const audit = await sale.audit();
  const orders = audit.skus[0].reserved;
  console.log(
    JSON.stringify({
      orders,
      items_per_order: SKUS.length,
      orders_per_s: Math.round(orders / seconds),
      seconds: Number(seconds.toFixed(2)),
      chunks,
      slowest_chunk_ms: Math.round(slowest.ms),
      reconciler_cpu_share: Number(((used.user + used.system) / 1e6 / seconds).toFixed(2)),
      balanced: audit.balanced,
      node: process.version,
      cpus: cpus().length,
    }),
  );
  redis.disconnect();
  await db.end();
} finally {
  await server.stop();
  await postgres.stop();
  removePostgres(join(dir, 'postgres'));
  rmSync(dir, { recursive: true, force: true });
}
