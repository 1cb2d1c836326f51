/** The scenarios and the stands in the order in which they run. */
import { againstBaselines } from './against-baselines.ts';
import { checkout, replay, soldOut } from './against-echo.ts';
import { fsync, hotSku, ledgerHeldBack } from './against-itself.ts';
import type { Scenario } from './scenario.ts';
import type { Stand } from './stand.ts';

export const SCENARIOS: readonly Scenario[] = [
  checkout,
  soldOut,
  replay,
  hotSku,
  ledgerHeldBack,
  fsync,
  ...againstBaselines,
];

export const STANDS: readonly Stand[] = [];
