/** What becomes of an order, drawn: how it is paid, and what its buyer and the operator do with it. Pure. */
import type { DeedLine } from '../checker/lines.ts';
import type { Purchase } from './client.ts';

export type PlannedDeed = { deed: DeedLine['deed']; after_ms: number; amount?: number };

/** The sandbox's tokens, and the share of orders that pay with each. */
const PAY_TOKENS: readonly (readonly [string, number])[] = [
  ['pm_ok', 0.8],
  ['pm_declined', 0.06],
  ['pm_timeout', 0.03],
  ['pm_error_once', 0.04],
  ['pm_slow', 0.03],
  ['pm_late', 0.02],
  ['pm_error_sticky_done', 0.02],
];

export function payTokenOf(draw: number): string {
  let left = draw;
  for (const [token, share] of PAY_TOKENS) {
    left -= share;
    if (left < 0) return token;
  }
  return 'pm_ok';
}

export function plannedDeeds(purchase: Purchase, random: () => number, unit_price: number): PlannedDeed[] {
  const deeds: PlannedDeed[] = [];
  const after = (least_ms: number, more_ms: number) => Math.round(least_ms + random() * more_ms);
  if (purchase.road === 'lock') {
    // The others let their hold run out.
    if (random() < 0.4) return [];
    deeds.push({ deed: 'initiate', after_ms: after(200, 2_000) });
    deeds.push({ deed: 'confirm', after_ms: after(1_000, 3_000) });
  }
  const fate = random();
  if (fate < 0.06) deeds.push({ deed: 'cancel', after_ms: after(0, 5_000) });
  else if (fate < 0.1) deeds.push({ deed: 'return', after_ms: after(1_500, 4_000) });
  else if (fate < 0.13) {
    const amount = 1 + Math.floor(random() * (unit_price / 3));
    deeds.push({ deed: 'refund_part', after_ms: after(2_000, 4_000), amount });
  } else if (fate < 0.2) {
    deeds.push({ deed: 'ship', after_ms: after(2_000, 3_000) });
    if (random() < 0.5) deeds.push({ deed: 'deliver', after_ms: after(500, 2_000) });
  }
  return deeds;
}
