/** The engine, put together: from configuration and connections to a server that listens. */
import type { Redis } from 'ioredis';
import { createSigner } from '../ledger/certificate/sign.ts';
import { pausedBuyers } from '../ledger/orders/paused-buyers.ts';
import { findSale } from '../ledger/stream/cursor.ts';
import type { Providers } from '../payments/providers.ts';
import type { Config } from '../platform/config.ts';
import type { Logger } from '../platform/log.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { Pool } from '../platform/postgres.ts';
import { createAuthenticate } from './access/authenticate.ts';
import { createClientAddress, createIsProxy } from './access/client-address.ts';
import { createPausedBuyers } from './access/paused-buyers.ts';
import { createRateLimit, type RateLimit } from './access/rate-limit.ts';
import { createFindReservation } from './checkout/find-reservation.ts';
import type { Reserve } from './checkout/port.ts';
import { createReserve } from './checkout/reserve.ts';
import { DOCS_POLICY } from './docs/pages.ts';
import type { Endpoint } from './endpoint.ts';
import type { Services } from './handlers/services.ts';
import { serveHttp } from './http.ts';
import { createLedgerGuard, LedgerUnavailable } from './ledger-guard.ts';
import { createLiveHub } from './live/hub.ts';
import { LIVE_PATH, liveEndpoint } from './live/live-endpoint.ts';
import { createAdmission } from './load/admission.ts';
import { createGuard } from './load/guard.ts';
import { createHeld } from './load/held.ts';
import { createEngineMetrics } from './metrics.ts';
import { type Refusal, type Reply, refuse } from './reply.ts';
import type { Head } from './request.ts';
import { endpointOf, type Route } from './route.ts';
import { createRoutes } from './routes.ts';
import { createSaleDirectory } from './sales/directory.ts';
import { createStockReader } from './sales/stock.ts';
import { answerFile, ledBack, PAGE_POLICY, readStaticFiles } from './static-files.ts';

export type EngineOptions = {
  config: Readonly<Config>;
  /** 0: any that is free. Default: the configuration's. */
  port?: number;
  redis: Redis;
  db: Pool;
  providers: Providers;
  log: Logger;
  registry: Metrics;
  /** False until Redis was found fit to hold stock: nothing is sold before. */
  prepared: () => boolean;
  /** Folder of the storefront. */
  pages: string;
  /** What decides who gets in. Default: batches to Redis; a benchmark puts others in its place. */
  createReserve?: typeof createReserve;
};

export type Engine = {
  port: number;
  routes: readonly Route[];
  /** Stops listening and finishes what is under way, for at most `patience_ms`. */
  close(patience_ms: number): Promise<void>;
};

/** Buyers who have to pause, remembered at most. */
const PAUSED_MAX = 20_000;

/** One request in so many is logged without being asked for. */
const SAMPLE = 1_000;

export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { config, redis, db, providers, log, registry, prepared } = options;
  let draining = false;
  let publish = (_topic: string, _message: string): void => {};

  const admission = createAdmission();
  const held = createHeld({ served_per_ms: admission.served_per_ms });
  const clientAddress = createClientAddress(config.trusted_proxies);
  let listens_at = 0;
  const guard = createGuard({
    admission,
    clientAddress,
    isProxy: createIsProxy(config.trusted_proxies),
    per_address_max: config.connection_limit_ip,
    port: () => listens_at,
    refused: (why) => metrics.rateLimited(why === 'requests' ? 'requests' : 'connections'),
  });
  const ledger = createLedgerGuard();
  const ledgerHas = async (tenant: string, id: string) =>
    (await ledger.ask(() => findSale(db, tenant, id))) !== undefined;
  const sales = createSaleDirectory({ redis, ledgerHas });
  const stock = createStockReader({ redis });
  const hub = createLiveHub({
    stock,
    publish: (topic, message) => publish(topic, message),
    failed: (error) => log.debug({ err: error }, 'stock cannot be read for watchers'),
  });
  const metrics = createEngineMetrics(registry, {
    watchers: hub.watchers,
    ledgerAvailable: ledger.available,
    batchFailed: (error) => log.error({ err: error }, 'a batch failed; it took nothing'),
    connections: () => guard.open(),
    shedding: admission.shedding,
  });
  const decide = (options.createReserve ?? createReserve)({
    redis,
    observe: metrics.batches,
    watch: admission.watch,
  });
  const reserve: Reserve = (request) =>
    prepared() ? decide(request) : Promise.resolve({ kind: 'unavailable' });
  const findReservation = createFindReservation({ redis, sales });
  const paused = createPausedBuyers({
    read: () => ledger.ask(() => pausedBuyers(db, PAUSED_MAX)),
    failed: (error) => log.debug({ err: error }, 'who has to pause cannot be read'),
  });
  const services: Services = {
    ...{ redis, db, ledger, sales, stock, reserve },
    ...{ findReservation, providers, paused },
  };
  const { routes, docs_files } = createRoutes({
    services,
    operations: { redis, ledger, registry, prepared, draining: () => draining },
    observe: metrics.checkout,
    pausedRefused: () => metrics.rateLimited('holds'),
    webhooks: { signing_key: config.webhook_signing_key, local: config.webhook_allow_http },
    signer: config.certificate_key ? createSigner(config.certificate_key) : undefined,
    demo: demoOf(config),
  });

  const authenticate = createAuthenticate(config);
  const access = {
    authenticate,
    clientAddress,
    addressLimit: limitOf(config.rate_limit_ip),
    buyerLimit: limitOf(config.rate_limit_buyer),
    full: () => (admission.full() ? held.wait() : undefined),
    rateLimited: metrics.rateLimited,
    observer: ({ id }: Route) => logged(id, metrics.observer(id)),
  };
  const endpoints = routes.map((route) => endpointOf(route, access));
  const doorOf = (path: string): Endpoint['admit'] => {
    const found = endpoints.find((endpoint) => endpoint.path === path);
    if (!found) throw new Error(`no route has the path ${path}`);
    return found.admit;
  };

  function refusalFor(error: unknown, head: Head): Refusal {
    if (error instanceof LedgerUnavailable) return refuse('unavailable');
    log.error({ err: error, request_id: head.request_id }, 'a request failed');
    return refuse('internal_error');
  }

  let answers = 0;
  function logged(route: string, observe: Endpoint['observe']): Endpoint['observe'] {
    const every = log.isLevelEnabled('debug') ? 1 : SAMPLE;
    return (status, seconds) => {
      observe(status, seconds);
      answers += 1;
      if (answers % every === 0) log.info({ route, status, seconds, sampled: every }, 'request');
    };
  }

  const pages = readStaticFiles(options.pages);
  function page(head: Head): Reply {
    if (head.method === 'POST') return ledBack(head);
    const file = pages.get(head.path);
    if (file) return answerFile(file, head, PAGE_POLICY);
    const docs = docs_files.get(head.path);
    return docs ? answerFile(docs, head, DOCS_POLICY) : refuse('not_found');
  }

  const server = await serveHttp({
    host: config.host,
    port: options.port ?? config.port,
    endpoints,
    live: [liveEndpoint({ sales, door: doorOf(LIVE_PATH), hub })],
    fallback: page,
    peer_wanted: config.rate_limit_ip > 0 || config.connection_limit_ip > 0,
    guard,
    refusalFor,
  });
  publish = server.publish;
  listens_at = server.port;
  return {
    port: server.port,
    routes,
    async close(patience_ms) {
      draining = true;
      hub.close();
      paused.stop();
      await server.close(patience_ms);
    },
  };
}

function limitOf(rate_per_second: number): RateLimit | undefined {
  return rate_per_second > 0 ? createRateLimit({ rate_per_second }) : undefined;
}

function demoOf({ demo_sale, jwt_secret }: Readonly<Config>) {
  return demo_sale && jwt_secret ? { jwt_secret, sale_id: demo_sale } : undefined;
}
