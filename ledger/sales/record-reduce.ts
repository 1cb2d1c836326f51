/**
 * An operator is about to take units out of sale: the key is claimed here, for ever, and then Redis takes
 * (lua reduce). The answer is stored when the ledger ingests the entry.
 *
 * $1 tenant  $2 sale
 */
import type { Line } from '../../domain/types.ts';
import { type Pool, rows, withTransaction } from '../../platform/postgres.ts';
import { type Claim, claimRequest, type OperatorRequest } from './operator-requests.ts';

const SALE_NO = { name: 'sale_no', text: 'SELECT sale_no FROM sales WHERE tenant = $1 AND id = $2' };

/** What was taken, which may be less than was asked. */
export type ReduceAnswer = { items: Line[] };

/** `new`: send it to Redis (with this key as its request_id; Redis too knows a replay), and answer with what it took. */
export function recordReduce(
  pool: Pool,
  request: OperatorRequest,
): Promise<Claim<ReduceAnswer> | { kind: 'not_found' }> {
  return withTransaction(pool, async (tx): Promise<Claim<ReduceAnswer> | { kind: 'not_found' }> => {
    const [sale] = await rows<{ sale_no: number }>(tx, SALE_NO, [request.tenant, request.sale]);
    if (!sale) return { kind: 'not_found' };
    return claimRequest<ReduceAnswer>(tx, sale.sale_no, 'reduce', request);
  });
}
