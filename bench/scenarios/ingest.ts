/** The ledger's ingest against the least that Postgres could do: a binary COPY of the very rows that ingest wrote. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { RECONCILER_NODE_OPTIONS } from '../../platform/local/node-options.ts';
import { createPool } from '../../platform/postgres.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { copyFiles, type RowCounts, writeFiles } from '../ingest/copy.ts';
import { type Stores, startStores } from '../ingest/stores.ts';
import { fillStream } from '../ingest/stream.ts';
import type { Follow, Followed } from '../ingest/worker-messages.ts';
import { forkBuilt } from '../lab/built.ts';
import { cpuSeconds } from '../lab/cpu.ts';
import { type Bar, type Figure, medianFigure, type Stand } from './stand.ts';

const KINDS = [
  { lines: 1, name: 'one-item orders' },
  { lines: 3, name: 'three-item orders' },
] as const;

type Run = {
  seconds: number;
  reconciler_us: number;
  postgres_us: number;
  copy: { seconds: number; postgres_us: number };
  chunk_p99_ms: number;
  orders_a_chunk: number;
};

export const ingest: Stand = {
  name: 'ingest',
  what: 'A full stream into the ledger, against a binary COPY of the same rows into the same tables.',
  sizes: {
    'ingest-orders': { what: 'orders of one run', standard: 60_000, quick: 5_000 },
    'ingest-batch': { what: 'orders of one stream entry', standard: 32, quick: 32 },
  },
  async measure({ sizes, pairs, say }) {
    const stores = await startStores();
    const worker = await startWorker();
    const wrong: string[] = [];
    const figures: Figure[] = [];
    try {
      const terms = { orders: sizes['ingest-orders'] ?? 0, batch: sizes['ingest-batch'] ?? 0 };
      for (const { lines, name } of KINDS) {
        const runs: Run[] = [];
        // The first is for compilers and caches.
        for (let pair = 0; pair <= pairs; pair++) {
          const run = await runPair(stores, worker, { ...terms, lines }, wrong);
          if (pair > 0) runs.push(run);
          say(`  ${name}, ${pair === 0 ? 'warm-up' : `pair ${pair}`}: ${lineOf(run, terms.orders)}`);
        }
        figures.push(...figuresOf(name, runs, terms.orders));
      }
    } finally {
      worker.process.kill('SIGTERM');
      await stores.close();
    }
    return { figures, wrong };
  },
};

async function runPair(
  stores: Stores,
  worker: Worker,
  terms: { orders: number; batch: number; lines: number },
  wrong: string[],
): Promise<Run> {
  const { redis: server, postgres } = stores;
  const [ours, theirs] = [await stores.freshDatabase(), await stores.freshDatabase()];
  const db = createPool({ url: ours, max: 4, application_name: 'bench', on_error: () => {} });
  const redis = connectRedis(server.url);
  redis.on('error', () => {});
  try {
    await redisReady(redis, 5_000);
    await redis.flushall();
    const sale = await fillStream(db, redis, terms);
    const until_seq = (await sale.sale()).seq + Math.ceil(terms.orders / terms.batch);
    await stores.checkpoint();
    const used = () => [cpuSeconds(worker.process.pid ?? 0), cpuSeconds(postgres.pid)] as const;
    const us = (from: number, to: number) => ((to - from) * 1e6) / terms.orders;

    const before = used();
    const told = worker.said();
    const order: Follow = { database_url: ours, redis_url: server.url, sale_no: sale.sale_no, until_seq };
    worker.process.send(order);
    const followed = (await told) as Followed;
    const after = used();
    const audit = await sale.audit();
    if (!audit.balanced) wrong.push(`the books of a run: ${JSON.stringify(audit).slice(0, 300)}`);

    const written = await writeFiles(ours);
    wrong.push(...whatIsMissing(written, terms));
    await stores.checkpoint();
    const { counts: copied, seconds, cpu_seconds } = await copyFiles(theirs, () => cpuSeconds(postgres.pid));
    for (const table of Object.keys(written) as (keyof RowCounts)[]) {
      if (copied[table] !== written[table])
        wrong.push(`copied ${copied[table]} of ${written[table]} rows of ${table}`);
    }
    const chunks_ms = [...followed.chunks_ms].sort((a, b) => a - b);
    return {
      seconds: followed.seconds,
      reconciler_us: us(before[0], after[0]),
      postgres_us: us(before[1], after[1]),
      copy: { seconds, postgres_us: us(0, cpu_seconds) },
      chunk_p99_ms: chunks_ms[Math.floor((chunks_ms.length - 1) * 0.99)] ?? 0,
      orders_a_chunk: terms.orders / chunks_ms.length,
    };
  } finally {
    redis.disconnect();
    await db.end();
    await stores.drop(ours);
    await stores.drop(theirs);
  }
}

/** What an order must have left behind. */
function whatIsMissing(written: RowCounts, { orders, lines }: { orders: number; lines: number }): string[] {
  const expected = { orders, order_items: orders * lines, order_events: orders };
  return Object.entries(expected).flatMap(([table, rows]) =>
    written[table as keyof RowCounts] === rows
      ? []
      : [`${written[table as keyof RowCounts]} rows in ${table} and not ${rows}`],
  );
}

function figuresOf(name: string, runs: readonly Run[], orders: number): Figure[] {
  const figure = (what: string, unit: string, read: (run: Run) => number, bar?: Bar): Figure[] =>
    medianFigure(`${name}: ${what}`, unit, runs.map(read), bar);
  return [
    ...figure('ingest against COPY', 'times', (run) => run.copy.seconds / run.seconds, { at_least: 0.6 }),
    ...figure('ingest', 'orders/s', (run) => orders / run.seconds),
    ...figure('COPY', 'orders/s', (run) => orders / run.copy.seconds),
    ...figure('reconciler CPU of an order', 'us', (run) => run.reconciler_us),
    ...figure('Postgres CPU of an order', 'us', (run) => run.postgres_us),
    ...figure('Postgres CPU of an order by COPY', 'us', (run) => run.copy.postgres_us),
    ...figure('a chunk, p99', 'ms', (run) => run.chunk_p99_ms),
    ...figure('orders of a chunk', 'orders', (run) => run.orders_a_chunk),
  ];
}

function lineOf(run: Run, orders: number): string {
  const rate = (seconds: number) => `${Math.round(orders / seconds).toLocaleString('en')}/s`;
  return [
    `ingest ${rate(run.seconds)}, COPY ${rate(run.copy.seconds)}, ratio ${(run.copy.seconds / run.seconds).toFixed(3)}`,
    `CPU us of an order: reconciler ${run.reconciler_us.toFixed(0)}, Postgres ${run.postgres_us.toFixed(0)}, COPY ${run.copy.postgres_us.toFixed(0)}`,
  ].join('; ');
}

type Worker = {
  process: ChildProcess;
  /** Its next message; throws if it ends first. */
  said(): Promise<unknown>;
};

async function startWorker(): Promise<Worker> {
  const worker = forkBuilt('bench/ingest/worker.js', { node_options: RECONCILER_NODE_OPTIONS });
  const gone = new AbortController();
  worker.once('exit', (code) => gone.abort(new Error(`the process that ingests ended with ${code}`)));
  const said = async () => (await once(worker, 'message', { signal: gone.signal }))[0];
  await said();
  return { process: worker, said };
}
