/**
 * What needs an order's ledger row may come before the ledger has ingested its reservation: then it waits
 * for the row, briefly.
 */
import type { FindReservation } from '../checkout/find-reservation.ts';
import { LEDGER_WRITE_MS, type LedgerGuard } from '../ledger-guard.ts';
import { type Refusal, refuse } from '../reply.ts';

const WAIT_MS_MAX = 3_000;
const LOOK_MS_FIRST = 20;
const LOOK_MS_MAX = 200;

export type OrderOf = { order_id: string; tenant: string; buyer: string };

/**
 * Runs `act` until it says something else than `not_found`. An order without a reservation of this buyer is
 * not found at once, whoever's it is. `act` must be harmless to repeat.
 */
export async function onceIngested<R extends { kind: string }>(
  services: { ledger: LedgerGuard; findReservation: FindReservation },
  order: OrderOf,
  act: () => Promise<R>,
): Promise<Exclude<R, { kind: 'not_found' }> | Refusal> {
  const until_ms = performance.now() + WAIT_MS_MAX;
  let known = false;
  for (let look_ms = LOOK_MS_FIRST; ; look_ms = Math.min(2 * look_ms, LOOK_MS_MAX)) {
    const result = await services.ledger.ask(act, LEDGER_WRITE_MS);
    if (result.kind !== 'not_found') return result as Exclude<R, { kind: 'not_found' }>;
    if (!known) {
      const { kind } = await services.findReservation(order.order_id, order.tenant, order.buyer);
      if (kind === 'unknown') return refuse('not_found');
      if (kind === 'unavailable') return refuse('unavailable');
      known = true;
    }
    if (performance.now() + look_ms > until_ms) return refuse('unavailable');
    await new Promise((resolve) => setTimeout(resolve, look_ms));
  }
}
