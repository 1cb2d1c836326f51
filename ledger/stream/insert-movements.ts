/**
 * Movements that ingest itself makes: for orders that the ledger had already, and for rejected ones.
 *
 * $1 sale_no, then columns: $2 order ids  $3 SKUs  $4 to available  $5 from held  $6 buyer hashes  $7 buyer units
 *   $8 causes
 */
import { type Queryable, rows } from '../../platform/postgres.ts';

const INSERT_MOVEMENTS = {
  name: 'insert_movements',
  text: `
    INSERT INTO movements (sale_no, order_id, sku, to_available, from_held, buyer_hash, buyer_units, cause)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[], $8::text[])`,
};

export type Movement = {
  order_id: string | null;
  sku: string;
  to_available: number;
  from_held: number;
  buyer_hash: Buffer | null;
  buyer_units: number;
  /** Why ingest gives something back. */
  cause: 'rejected' | 'replayed';
};

export async function insertMovements(
  tx: Queryable,
  saleNo: number,
  movements: readonly Movement[],
): Promise<void> {
  if (movements.length === 0) return;
  await rows(tx, INSERT_MOVEMENTS, [
    saleNo,
    movements.map((m) => m.order_id),
    movements.map((m) => m.sku),
    movements.map((m) => m.to_available),
    movements.map((m) => m.from_held),
    movements.map((m) => m.buyer_hash),
    movements.map((m) => m.buyer_units),
    movements.map((m) => m.cause),
  ]);
}
