/** The reconciler's ingest as a process of its own. Told Follow, it ingests one sale to a position and says Followed. */
import { Registry } from 'prom-client';
import { enqueueAuthorize } from '../../payments/jobs/enqueue.ts';
import { createLog } from '../../platform/log.ts';
import { createPool } from '../../platform/postgres.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { followSale } from '../../reconciler/ingest/follow-sale.ts';
import { runLoop } from '../../reconciler/loop.ts';
import { createReconcilerMetrics } from '../../reconciler/metrics.ts';
import type { Follow, Followed } from './worker-messages.ts';

async function follow({ database_url: url, redis_url, sale_no, until_seq }: Follow): Promise<Followed> {
  const db = createPool({ url, max: 12, application_name: 'bench-ingest', on_error: () => {} });
  const redis = connectRedis(redis_url);
  redis.on('error', () => {});
  await redisReady(redis, 5_000);
  const follower = followSale(
    {
      ...{ db, redis, enqueueAuthorize },
      log: createLog({ level: 'warn', service: 'ingest' }),
      metrics: createReconcilerMetrics(new Registry()),
      grace_ms: 30_000,
    },
    sale_no,
  );
  const done = new AbortController();
  const chunks_ms: number[] = [];
  const begun = performance.now();
  await runLoop({
    signal: done.signal,
    onError(error) {
      throw error;
    },
    async step() {
      const step_begun = performance.now();
      const result = await follower.step();
      chunks_ms.push(performance.now() - step_begun);
      if (result !== 'more') done.abort();
      return result;
    },
  });
  const seconds = (performance.now() - begun) / 1_000;
  const { rows } = await db.query<{ seq: number }>({
    text: 'SELECT seq FROM cursors WHERE sale_no = $1',
    values: [sale_no],
  });
  if (rows[0]?.seq !== until_seq) throw new Error(`ingested to ${rows[0]?.seq} and not to ${until_seq}`);
  redis.disconnect();
  // Its connections end with the database: what a process has used that is just ending is for a moment nowhere to be read.
  return { seconds, chunks_ms };
}

process.on('message', (message) => {
  void follow(message as Follow).then((followed) => process.send?.(followed));
});
process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
process.send?.('ready');
