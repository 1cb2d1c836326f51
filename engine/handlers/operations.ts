/** GET /livez, /readyz, /metrics. */
import type { Redis } from 'ioredis';
import { METRICS_CONTENT_TYPE, type Metrics } from '../../platform/metrics.ts';
import type { LedgerGuard } from '../ledger-guard.ts';
import { json, refuse } from '../reply.ts';
import type { Handler } from '../route.ts';

export type OperationsServices = {
  redis: Redis;
  ledger: LedgerGuard;
  registry: Metrics;
  /** False until Redis was found fit to hold stock. */
  prepared(): boolean;
  draining(): boolean;
};

export function operationsHandlers(services: OperationsServices) {
  const { redis, ledger, registry } = services;

  const live: Handler = () => json(200, { status: 'ok' });

  /** Ready to sell, which needs Redis and not the ledger. */
  const ready: Handler = () => {
    const missing: string[] = [];
    if (redis.status !== 'ready') missing.push('redis');
    else if (!services.prepared()) missing.push('redis settings');
    if (services.draining()) missing.push('draining');
    if (missing.length > 0) {
      return refuse('unavailable', { detail: `Not ready: ${missing.join(', ')}.`, members: { missing } });
    }
    return json(200, { status: 'ok', ledger: ledger.available() ? 'ok' : 'away' });
  };

  const metrics: Handler = async () => ({
    status: 200,
    body: await registry.metrics(),
    content_type: METRICS_CONTENT_TYPE,
    headers: ['Cache-Control', 'no-store'],
  });

  return { live, ready, metrics };
}
