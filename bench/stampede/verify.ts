/** What must be true after a rush, read from the API alone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Api, inParallel } from './api.ts';
import type { Buyer, Outcome } from './rush.ts';

export type Winner = Buyer & { order_id: string };

const WIDTH = 50;
const POLL_MS = 250;
const AUDIT_SECONDS = 30;

export function winnersOf(buyers: readonly Buyer[], outcomes: readonly Outcome[]): Winner[] {
  return buyers.flatMap((buyer, index) => {
    const outcome = outcomes[index]!;
    return outcome.kind === 'accepted' ? [{ ...buyer, order_id: outcome.order_id }] : [];
  });
}

/** How many winners, sending the very same request again, get the very same order, marked as a replay. */
export async function countReplays(api: Api, winners: readonly Winner[], body: unknown): Promise<number> {
  const same = await inParallel(winners, WIDTH, async ({ token, key, order_id }) => {
    const answer = await api.call('POST', '/v1/checkout', { token, key, body });
    const marked = answer.headers.get('idempotent-replayed') === 'true';
    return answer.status === 201 && answer.body.order_id === order_id && marked;
  });
  return same.filter(Boolean).length;
}

/** Waits until all winners are confirmed or `patience_seconds` pass. Returns how many are in which state. */
export async function awaitConfirmed(
  api: Api,
  winners: readonly Winner[],
  patience_seconds: number,
  say: (confirmed: number) => void,
): Promise<Record<string, number>> {
  const deadline_ms = Date.now() + patience_seconds * 1_000;
  const states = new Map<string, string>();
  for (;;) {
    const open = winners.filter(({ order_id }) => states.get(order_id) !== 'confirmed');
    await inParallel(open, WIDTH, async ({ order_id, token }) => {
      const { status, body } = await api.call('GET', `/v1/orders/${order_id}`, { token });
      states.set(order_id, status === 200 ? String(body.state) : `status ${status}`);
    });
    const tally = countBy(states.values());
    say(tally.confirmed ?? 0);
    if ((tally.confirmed ?? 0) === winners.length || Date.now() > deadline_ms) return tally;
    await sleep(POLL_MS);
  }
}

/** The audit's own word, once it gives it: while entries are on their way, books may not be comparable yet. */
export async function isBalanced(api: Api, admin: string, sale_id: string): Promise<boolean> {
  const deadline_ms = Date.now() + AUDIT_SECONDS * 1_000;
  for (;;) {
    const { status, body } = await api.call('GET', `/v1/admin/sales/${sale_id}/audit`, { token: admin });
    if (status === 200 && body.balanced === true) return true;
    if (Date.now() > deadline_ms) return false;
    await sleep(POLL_MS);
  }
}

export function countBy(values: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
