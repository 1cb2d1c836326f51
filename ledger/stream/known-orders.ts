/**
 * Which of these order ids the ledger has already: replays that Redis had forgotten.
 *
 * $1 order ids
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const KNOWN_ORDERS = { name: 'known_orders', text: 'SELECT id FROM orders WHERE id = ANY ($1)' };

export async function knownOrders(tx: Queryable, orderIds: readonly string[]): Promise<Set<string>> {
  const known = await rows<{ id: string }>(tx, KNOWN_ORDERS, [orderIds]);
  return new Set(known.map((row) => row.id));
}
