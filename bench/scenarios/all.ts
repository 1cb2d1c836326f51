/** The scenarios and the stands in the order in which they run. */
import { againstBaselines } from './against-baselines.ts';
import { checkout, replay, sellOut, soldOut } from './against-echo.ts';
import { fsync, hotSku, ledgerHeldBack } from './against-itself.ts';
import { byAutocannon, omission } from './autocannon.ts';
import { denominators } from './denominators.ts';
import { hotPath } from './hot-path.ts';
import { ingest } from './ingest.ts';
import { lag } from './lag.ts';
import { latency } from './latency.ts';
import { expiry } from './long/expiry.ts';
import { outage } from './long/outage.ts';
import { restart } from './long/restart.ts';
import { rss } from './long/rss.ts';
import { mixed } from './mixed.ts';
import { saga } from './saga.ts';
import { memory } from './scale-memory.ts';
import { scaleReservations } from './scale-reservations.ts';
import { scaleSkus } from './scale-skus.ts';
import { scaleSkusHttp } from './scale-skus-http.ts';
import type { Scenario } from './scenario.ts';
import type { Stand } from './stand.ts';
import { threeSku } from './three-sku.ts';

export const SCENARIOS: readonly Scenario[] = [
  checkout,
  sellOut,
  soldOut,
  replay,
  threeSku,
  mixed,
  latency,
  byAutocannon,
  omission,
  hotSku,
  ledgerHeldBack,
  fsync,
  ...againstBaselines,
];

export const STANDS: readonly Stand[] = [
  denominators,
  hotPath,
  ingest,
  saga,
  lag,
  scaleSkus,
  scaleSkusHttp,
  scaleReservations,
  memory,
  expiry,
  outage,
  restart,
  rss,
];
