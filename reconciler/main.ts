/** The reconciler as a process: DATABASE_URL, REDIS_URL, PSP..., RECONCILER_PORT. Prepares the ledger first, if it may. */
import { enqueueAuthorize } from '../payments/jobs/enqueue.ts';
import { createProviders } from '../payments/providers.ts';
import { ConfigError, loadConfig, required } from '../platform/config.ts';
import { checkChosen } from '../platform/config-providers.ts';
import { giveWay, NICE_MAX } from '../platform/give-way.ts';
import { createLog } from '../platform/log.ts';
import { countMachineErrors } from '../platform/machine-errors.ts';
import { createRegistry } from '../platform/metrics.ts';
import { createPool } from '../platform/postgres.ts';
import { connectRedis, redisReady } from '../platform/redis.ts';
import { checkRedis } from '../platform/redis-check.ts';
import { sessionsGiveWay } from '../platform/sessions-give-way.ts';
import { createGiveWay } from './give-way.ts';
import { runLoop } from './loop.ts';
import { createNotify } from './notify/notify.ts';
import { startOpsServer } from './ops-server.ts';
import { createChainSink } from './outbox/chain/sink.ts';
import { runOutboxRole } from './outbox/outbox-role.ts';
import { createWebhookSink } from './outbox/webhooks/sink.ts';
import { runWebhookRole } from './outbox/webhooks/webhook-role.ts';
import { prepareOrCheck } from './prepare/prepare-ledger.ts';
import { createReconciler } from './reconciler.ts';
import { type Saga, startSaga } from './saga/saga.ts';
import { createSaleLocks } from './sale-locks.ts';
import { stepErrors } from './step-errors.ts';

/** Longest time for the steps under way after SIGTERM; what is not done then comes again at the next start. */
const DRAIN_MS_MAX = 8_000;

async function main(): Promise<void> {
  const config = required(loadConfig(process.env), 'redis_url', 'database_url');
  checkChosen(config);
  const log = createLog({ level: config.log_level, service: 'reconciler' });
  giveWay(config.reconciler_nice).catch((err) => log.warn({ err }, 'RECONCILER_NICE could not be set'));
  const registry = createRegistry();
  const { database_url: url } = config;
  const on_error = (error: Error) => log.warn({ err: error }, 'a connection to the ledger was lost');
  const db = createPool({ url, max: 12, application_name: 'stampede-reconciler', on_error });
  // A pool of its own: payments that wait for their provider must not keep stock waiting.
  const sagaDb = createPool({ url, max: 8, application_name: 'stampede-saga', pipeline: true, on_error });
  // And what others are told must keep neither waiting.
  const outboxDb = createPool({ url, max: 6, application_name: 'stampede-outbox', on_error });
  // Payments and what others are told can wait for the end of a rush; ingest keeps its share, or the ledger falls behind.
  if (config.reconciler_nice > 0) for (const pool of [sagaDb, outboxDb]) sessionsGiveWay(pool, NICE_MAX);
  countMachineErrors([db, sagaDb], registry);
  const providers = createProviders(config);
  const notify = createNotify({
    db: outboxDb,
    config,
    registry,
    log,
    give_way: () => give_way(),
  });
  let saga: Saga | undefined;
  const locks = createSaleLocks({ url, application_name: 'stampede-reconciler-locks', on_error });
  const redis = connectRedis(config.redis_url);
  redis.on('error', (error) => log.debug({ err: error }, 'connection to Redis'));

  const ending = new AbortController();
  const { signal } = ending;
  const { stream_keep_ms: trim_age_ms } = config;
  const reconciler = createReconciler({ db, redis, locks, log, registry, enqueueAuthorize, trim_age_ms });
  const give_way = createGiveWay(reconciler);
  const notReady = () => (signal.aborted ? 'ending' : reconciler.notReady());
  const { reconciler_port: port, host } = config;
  const server = await startOpsServer({ port, host, registry, notReady });

  const end = (why: string) => {
    if (signal.aborted) return;
    log.info({ why }, 'the reconciler ends');
    ending.abort();
  };
  process.on('SIGTERM', () => end('SIGTERM'));
  // Under a supervisor Ctrl-C reaches everybody at once, and it is the supervisor who says when.
  process.on('SIGINT', () => process.send || end('SIGINT'));
  process.on('disconnect', () => end('the supervisor is gone'));

  await untilPrepared();
  if (!signal.aborted) {
    log.info({ port }, 'the reconciler works');
    process.send?.('ready');
  }
  signal.addEventListener('abort', () => setTimeout(() => process.exit(0), DRAIN_MS_MAX).unref());
  const paid = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(saga?.stop()), { once: true });
    if (signal.aborted) resolve(saga?.stop());
  });
  await Promise.all([reconciler.run(signal), paid, runOutbox()]);
  providers.close();
  await locks.close();
  await Promise.all([db.end(), sagaDb.end(), outboxDb.end()]);
  redis.disconnect();
  server.close();
  server.closeAllConnections();
  process.exit(0);

  /** Events of orders, and whom they are for: each sink, and what carries out what it has written down. */
  async function runOutbox(): Promise<void> {
    const shared = { pool: outboxDb, database_url: url, registry, log };
    const { webhook_signing_key: signing_key, webhook_keep_days: keep_days } = config;
    if (!signing_key) log.info('WEBHOOK_SIGNING_KEY is not set: merchants cannot be told by webhooks');
    await Promise.all([
      notify.run(signal),
      runOutboxRole(
        {
          ...shared,
          sinks: [createWebhookSink(), notify.sink, createChainSink({ onOrders: reconciler.see })],
          give_way,
        },
        signal,
      ),
      signing_key &&
        runWebhookRole(
          {
            ...shared,
            signing_key,
            keep_days,
            target: { local: config.webhook_allow_http },
            give_way,
          },
          signal,
        ),
    ]);
  }

  /** Redis and the ledger may come later than we do. Throws if Redis must not be used. */
  async function untilPrepared(): Promise<void> {
    const prepared = new AbortController();
    const onError = stepErrors(log, 'start');
    let refusal: unknown;
    await runLoop({
      signal: AbortSignal.any([signal, prepared.signal]),
      onError: (error) => Math.max(onError(error), 250),
      step: async () => {
        const run = await prepareOrCheck(db, { url, owner_url: config.migrate_database_url });
        if (run.length > 0) log.info({ migrations: run }, 'the ledger has a new schema');
        await redisReady(redis, 2_000);
        try {
          log.info(await checkRedis(redis), 'Redis checked');
        } catch (error) {
          // If it is still there it was not the connection that failed.
          if (redis.status !== 'ready') throw error;
          refusal = error;
        }
        if (!refusal)
          saga = await startSaga({
            ...{ pool: sagaDb, database_url: url, providers, registry, log, give_way },
            public_url: config.public_url,
          });
        prepared.abort();
        return 'idle';
      },
    });
    if (refusal) throw refusal;
  }
}

try {
  await main();
} catch (error) {
  const explained = error instanceof ConfigError || (error instanceof Error && error.name === 'Error');
  console.error(explained ? (error as Error).message : error);
  process.exit(1);
}
