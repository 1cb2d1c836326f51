/**
 * Numbers the invoices of orders that were confirmed, in the order given. Called by one at a time (the sink's cursor
 * is locked), in the transaction that moves the cursor: so a number is given once, and none is left out.
 *
 * $1 order ids  $2 tenants  $3 times of the confirmations
 */
import { changes, type Queryable } from '../../platform/postgres.ts';

const ISSUE_INVOICES = {
  name: 'issue_invoices',
  text: `
    INSERT INTO invoices (order_id, tenant, no, issued_at)
    SELECT c.order_id, c.tenant,
      coalesce((SELECT max(no) FROM invoices i WHERE i.tenant = c.tenant), 0)
        + row_number() OVER (PARTITION BY c.tenant ORDER BY c.position),
      c.issued_at
    FROM unnest($1::text[], $2::text[], $3::timestamptz[]) WITH ORDINALITY
      AS c (order_id, tenant, issued_at, position)
    WHERE NOT EXISTS (SELECT FROM invoices i WHERE i.order_id = c.order_id)`,
};

export async function issueInvoices(
  db: Queryable,
  confirmed: readonly { order_id: string; tenant: string; at: Date }[],
): Promise<void> {
  if (confirmed.length === 0) return;
  await changes(db, ISSUE_INVOICES, [
    confirmed.map((order) => order.order_id),
    confirmed.map((order) => order.tenant),
    confirmed.map((order) => order.at),
  ]);
}
