/** The saga's parts without its queues, for tests that say themselves what happens when. */
import { Registry } from 'prom-client';
import type { Providers } from '../../../payments/providers.ts';
import type { Pool } from '../../../platform/postgres.ts';
import { createAdvance } from '../advance.ts';
import { createCalls } from '../calls.ts';
import { createHandlers } from '../handlers.ts';
import { createSagaMetrics } from '../metrics.ts';
import { createReferenceStore } from '../references.ts';
import { createRefunder } from '../refunds.ts';
import { createSettler } from '../settler.ts';
import { captureWithinMs, type Patience } from '../steps.ts';

/** No patience unless a test has some. */
export const HASTE: Patience = { same_key_ms: 0, quiet_ms: 0 };

export function sagaParts(pool: Pool, providers: Providers, patience: Patience = PATIENT) {
  const settler = createSettler({
    pool,
    capture_within_ms: (psp) => captureWithinMs(providers, psp),
    on_settled: () => {},
  });
  const metrics = createSagaMetrics(new Registry());
  const calls = createCalls(providers, metrics, {
    concurrency: 64,
    return_url: (id) => `http://shop/?order=${id}`,
  });
  const handlers = createHandlers({
    ...{ pool, providers, settler },
    ...createAdvance({ calls, storeReference: createReferenceStore(pool), patience }),
    refund: createRefunder({ pool, calls, patience, on_over: () => {}, on_foreign: () => {} }),
    on_unknown: () => {},
  });
  return { settler, handlers };
}

const PATIENT: Patience = { same_key_ms: 30_000, quiet_ms: 90_000 };

/** For a handler that may take its time. */
export const soon = (): number => performance.now() + 60_000;
