/**
 * Attempts by id, by the PSP's reference, or by order.
 *
 * BY_ID: $1 attempt ids   BY_REFERENCE: $1 PSP  $2 references   OF_ORDERS: $1 order ids
 */
import { type Queryable, rows } from '../../platform/postgres.ts';
import { ATTEMPT_COLUMNS, type AttemptRow } from './attempt-row.ts';

const select = `SELECT ${ATTEMPT_COLUMNS} FROM attempts a JOIN orders o ON o.id = a.order_id`;
const BY_ID = { name: 'attempts_by_id', text: `${select} WHERE a.id = ANY ($1::uuid[])` };
const BY_REFERENCE = {
  name: 'attempts_by_reference',
  text: `${select} WHERE a.psp = $1 AND a.psp_ref = ANY ($2)`,
};
const OF_ORDERS = {
  name: 'attempts_of_orders',
  text: `${select} WHERE a.order_id = ANY ($1) ORDER BY a.order_id, a.no`,
};

export function attemptsById(db: Queryable, ids: readonly string[]): Promise<AttemptRow[]> {
  return rows(db, BY_ID, [ids]);
}

export function attemptsByReference(
  db: Queryable,
  psp: string,
  references: readonly string[],
): Promise<AttemptRow[]> {
  return rows(db, BY_REFERENCE, [psp, references]);
}

export function attemptsOfOrders(db: Queryable, orderIds: readonly string[]): Promise<AttemptRow[]> {
  return rows(db, OF_ORDERS, [orderIds]);
}
