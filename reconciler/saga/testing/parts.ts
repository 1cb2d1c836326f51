/** The saga's parts without its queues, for tests that say themselves what happens when. */
import { Registry } from 'prom-client';
import type { Providers } from '../../../payments/providers.ts';
import type { Pool } from '../../../platform/postgres.ts';
import { createAdvance } from '../advance.ts';
import { createCalls } from '../calls.ts';
import { createHandlers } from '../handlers.ts';
import { createSagaMetrics } from '../metrics.ts';
import { createSettler } from '../settler.ts';

export function sagaParts(pool: Pool, providers: Providers) {
  const settler = createSettler(pool, () => {});
  const calls = createCalls(providers, createSagaMetrics(new Registry()), 64);
  const handlers = createHandlers({
    pool,
    providers,
    settler,
    ...createAdvance(calls),
    on_unknown: () => {},
  });
  return { settler, handlers };
}

/** For a handler that may take its time. */
export const soon = (): number => performance.now() + 60_000;
