/** The engine as a process: REDIS_URL, DATABASE_URL, JWT_SECRET or JWT_JWKS_URL, PORT. */
import { fileURLToPath } from 'node:url';
import { createProviders } from '../payments/providers.ts';
import { ConfigError, loadConfig, required } from '../platform/config.ts';
import { checkChosen } from '../platform/config-providers.ts';
import { createLog } from '../platform/log.ts';
import { countMachineErrors } from '../platform/machine-errors.ts';
import { createRegistry } from '../platform/metrics.ts';
import { createPool } from '../platform/postgres.ts';
import { connectRedis } from '../platform/redis.ts';
import { checkRedis } from '../platform/redis-check.ts';
import { startEngine } from './engine.ts';

/** Longest time for requests under way after SIGTERM; the local stack has less patience with us. */
const DRAIN_MS = 8_000;
const DRAIN_LOCAL_MS = 2_500;
/** A Redis that is not there after this is worth a line. */
const WAITING_MS = 3_000;
const SHORT_SECRET_BYTES = 32;

async function main(): Promise<void> {
  const config = required(loadConfig(process.env), 'redis_url', 'database_url');
  checkChosen(config);
  if (!config.jwt_secret && !config.jwt_jwks_url) {
    throw new ConfigError('JWT_SECRET or JWT_JWKS_URL must be set: it says whose tokens count');
  }
  const log = createLog({ level: config.log_level, service: 'engine' });
  if (config.jwt_secret && Buffer.byteLength(config.jwt_secret) < SHORT_SECRET_BYTES) {
    log.warn(`JWT_SECRET is short: a secret of ${SHORT_SECRET_BYTES} random bytes or more can't be guessed`);
  }
  const registry = createRegistry();
  const redis = connectRedis(config.redis_url);
  redis.on('error', (error) => log.debug({ err: error }, 'connection to Redis'));
  const db = createPool({
    url: config.database_url,
    max: 16,
    application_name: 'stampede-engine',
    statement_timeout_ms: 5_000,
    on_error: (error) => log.warn({ err: error }, 'a connection to the ledger was lost'),
  });
  countMachineErrors([db], registry);
  const providers = createProviders(config);

  // Looked at with every connection: it may be another Redis, or one with other settings.
  let prepared = false;
  let announced = false;
  const prepare = async () => {
    prepared = false;
    const { fsync, promise } = await checkRedis(redis);
    prepared = true;
    log.info({ fsync }, promise);
    if (announced) return;
    announced = true;
    process.send?.('ready');
  };
  redis.on('ready', () => {
    prepare().catch((error: Error) => {
      // It went away again, and comes back as a new connection.
      if (redis.status !== 'ready') return;
      if (!announced) stop(error.message);
      log.error({ err: error }, 'this Redis must not hold stock');
    });
  });

  const engine = await startEngine({
    ...{ config, redis, db, providers, log, registry },
    prepared: () => prepared,
    pages: fileURLToPath(new URL('../web/', import.meta.url)),
  });
  log.info({ host: config.host, port: engine.port }, 'the engine listens');
  const impatient = () => prepared || log.warn('waiting for Redis; nothing is sold until it is there');
  setTimeout(impatient, WAITING_MS).unref();

  let ending = false;
  const end = async (why: string) => {
    if (ending) return;
    ending = true;
    log.info({ why }, 'the engine ends');
    await engine.close(config.local_stack ? DRAIN_LOCAL_MS : DRAIN_MS);
    providers.close();
    redis.disconnect();
    // A ledger that does not answer must not keep us.
    await Promise.race([db.end(), new Promise((resolve) => setTimeout(resolve, 300))]);
    process.exit(0);
  };
  process.on('SIGTERM', () => void end('SIGTERM'));
  // Under a supervisor Ctrl-C reaches everybody at once, and it is the supervisor who says when.
  process.on('SIGINT', () => process.send || void end('SIGINT'));
  process.on('disconnect', () => void end('the supervisor is gone'));
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'the engine must end');
    process.exit(1);
  });
}

/** One line for the operator. */
function stop(line: string): never {
  console.error(line);
  process.exit(1);
}

main().catch((error: unknown) => {
  if (error instanceof ConfigError) stop(error.message);
  stop(
    error instanceof Error && error.message.startsWith('PORT')
      ? error.message
      : String((error as Error)?.stack ?? error),
  );
});
