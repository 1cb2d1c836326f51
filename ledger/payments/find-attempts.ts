/**
 * Attempts by id or by order.
 *
 * BY_ID: $1 attempt ids   OF_ORDERS: $1 order ids
 */
import { type Queryable, rows } from '../../platform/postgres.ts';
import { ATTEMPT_COLUMNS, type AttemptRow } from './attempt-row.ts';

const select = `SELECT ${ATTEMPT_COLUMNS} FROM attempts a JOIN orders o ON o.id = a.order_id`;
const BY_ID = { name: 'attempts_by_id', text: `${select} WHERE a.id = ANY ($1::uuid[])` };
const OF_ORDERS = {
  name: 'attempts_of_orders',
  text: `${select} WHERE a.order_id = ANY ($1) ORDER BY a.order_id, a.no`,
};

export function attemptsById(db: Queryable, ids: readonly string[]): Promise<AttemptRow[]> {
  return rows(db, BY_ID, [ids]);
}

export function attemptsOfOrders(db: Queryable, orderIds: readonly string[]): Promise<AttemptRow[]> {
  return rows(db, OF_ORDERS, [orderIds]);
}
