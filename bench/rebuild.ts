/**
 * How long a sale is closed when Redis has lost everything: live reservations of distinct buyers, rebuilt from the ledger.
 * Tells the longest script by Redis's own slow log, and what others on the same Redis notice. Own servers.
 *
 *     npm run bench:rebuild -- --reservations 1000000
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { migrate } from '../ledger/migrate.ts';
import { removePostgres, startPostgres } from '../platform/local/postgres-server.ts';
import { redisBinary } from '../platform/local/redis-binary.ts';
import { startRedis } from '../platform/local/redis-server.ts';
import { createPool } from '../platform/postgres.ts';
import { connectRedis, redisReady } from '../platform/redis.ts';
import { PRICE, rig } from '../test/support/reconciler.ts';
import { cpuSeconds } from './lab/cpu.ts';
import { fillLedger } from './rebuild/fill-ledger.ts';

const HELP = `Usage: npm run bench:rebuild -- [--reservations 1000000] [--lines 1] [--limit 2]

  --reservations  live orders, one a distinct buyer
  --lines         items of each order
  --limit         purchase limit; 0: none, and no counters of buyers

Result as JSON on stdout, progress on stderr. Exit code 1 when it took 30 s or more, or a script 5 ms or more.
`;
const { values } = parseArgs({
  options: {
    reservations: { type: 'string', default: '1000000' },
    lines: { type: 'string', default: '1' },
    limit: { type: 'string', default: '2' },
    help: { type: 'boolean', short: 'h' },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const reservations = Number(values.reservations);
const lines = Number(values.lines);
const limit = Number(values.limit);
if (![reservations, lines, limit].every(Number.isSafeInteger) || reservations < 1 || lines < 1 || limit < 0) {
  console.error(HELP);
  process.exit(2);
}
const say = (text: string) => console.error(text);

const SLOW_US = 500;
const BAR_S = 30;
const BAR_SCRIPT_MS = 5;

const dir = mkdtempSync(join(tmpdir(), 'stampede-bench-'));
chmodSync(dir, 0o711);
const postgres = await startPostgres({ dir: join(dir, 'postgres') });
const server = await startRedis({ dir: join(dir, 'redis'), binary: await redisBinary(say) });
let failed = true;
try {
  await migrate(postgres.url);
  const db = createPool({ url: postgres.url, max: 5, application_name: 'bench', on_error: () => {} });
  const redis = connectRedis(server.url);
  const other = connectRedis(server.url);
  for (const connection of [redis, other]) connection.on('error', () => {});
  await redisReady(redis, 5_000);
  await redisReady(other, 5_000);
  const skus = Array.from({ length: lines }, (_, i) => ({ sku: `s${i + 1}`, qty: reservations + 1_000 }));
  const sale = await rig({ db, redis, items: skus, limit });
  await sale.settle();
  const row = await sale.sale();
  say('filling the ledger');
  await fillLedger(db, row, {
    ...{ reservations, lines, unit_price: PRICE },
    onProgress: (made) => say(`${made} orders`),
  });
  await db.query('CHECKPOINT');
  await redis.flushall();
  const empty_bytes = await usedMemory();
  await redis.config('SET', 'slowlog-log-slower-than', SLOW_US, 'slowlog-max-len', 100_000);
  await redis.slowlog('RESET');

  // Somebody else on this Redis, all the time.
  const waits_ms: number[] = [];
  let over = false;
  const watching = (async () => {
    while (!over) {
      const asked = performance.now();
      await other.ping();
      waits_ms.push(performance.now() - asked);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();

  const cpu = process.cpuUsage();
  const stores_before = { redis: cpuSeconds(server.pid), postgres: cpuSeconds(postgres.pid) };
  const load_before = loadavg()[0];
  const begun = performance.now();
  const phases: Record<string, number> = {};
  let phase = '';
  const look = setInterval(async () => {
    const { rows } = await db.query<{ phase: string; rows_staged: number; rows_total: number }>(
      'SELECT phase, rows_staged, rows_total FROM rebuilds ORDER BY id DESC LIMIT 1',
    );
    if (!rows[0]) return;
    if (rows[0].phase !== phase) phases[rows[0].phase] ??= Math.round(performance.now() - begun);
    phase = rows[0].phase;
    say(
      `${((performance.now() - begun) / 1000).toFixed(1)} s: ${phase} ${rows[0].rows_staged} of ${rows[0].rows_total}`,
    );
  }, 500);
  await sale.settle();
  const seconds = (performance.now() - begun) / 1000;
  clearInterval(look);
  const used = process.cpuUsage(cpu);
  over = true;
  await watching;

  const slow = (await redis.slowlog('GET', 100_000)) as [number, number, number, string[]][];
  const scripts = slow.filter(([, , , command]) => command[0].toUpperCase() === 'EVALSHA');
  const script_ms_max = Math.max(SLOW_US, ...scripts.map(([, , us]) => us)) / 1000;
  waits_ms.sort((a, b) => a - b);
  const bytes = (await usedMemory()) - empty_bytes;
  const audit = await sale.audit();
  const sells = (await sale.reserve([{ lines: [{ sku: 's1', qty: 1 }] }])).statuses === 'a';
  const ok = audit.balanced && audit.live.kind === 'agrees' && sells;
  console.log(
    JSON.stringify(
      {
        ...{ reservations, lines, limit },
        seconds: Number(seconds.toFixed(2)),
        script_ms_max,
        scripts_over_1_ms: scripts.filter(([, , us]) => us > 1_000).length,
        ping_ms: { p50: at(waits_ms, 0.5), p99: at(waits_ms, 0.99), max: at(waits_ms, 1) },
        redis_bytes_per_reservation: Math.round(bytes / reservations),
        cpu_s: {
          reconciler: Number(((used.user + used.system) / 1e6).toFixed(2)),
          postgres: Number((cpuSeconds(postgres.pid) - stores_before.postgres).toFixed(2)),
          redis: Number((cpuSeconds(server.pid) - stores_before.redis).toFixed(2)),
        },
        reconciler_rss_mib: Math.round(process.memoryUsage().rss / 2 ** 20),
        balanced_and_selling: ok,
        ...{ load_before, load_after: loadavg()[0], cpus: cpus().length, node: process.version },
      },
      null,
      2,
    ),
  );
  failed = !ok || seconds >= BAR_S || script_ms_max >= BAR_SCRIPT_MS;
  redis.disconnect();
  other.disconnect();
  await db.end();

  async function usedMemory(): Promise<number> {
    return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
  }
} finally {
  await server.stop();
  await postgres.stop();
  removePostgres(join(dir, 'postgres'));
  rmSync(dir, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

function at(sorted: readonly number[], share: number): number {
  return Number((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0).toFixed(2));
}
