/**
 * What the audit last found of a sale, for whoever asks. `violations` must be 0.
 *
 * STORE: columns: $1 sale numbers  $2 checks  $3 violations  $4 examples (JSON)
 * READ: $1 sale_no
 */
import { type Queryable, rows } from '../platform/postgres.ts';
import { ORDER_CHECKS } from './audit-orders.ts';
import { type CheckResult, SALE_CHECKS } from './audit-sale.ts';

export const AUDIT_CHECKS = [...SALE_CHECKS, ...ORDER_CHECKS] as const;
export type AuditCheck = (typeof AUDIT_CHECKS)[number];

const STORE = {
  name: 'audit_store_checks',
  text: `
    INSERT INTO audit_checks (sale_no, name, violations, examples)
    SELECT c.sale_no, c.name, c.violations, ARRAY(SELECT jsonb_array_elements_text(c.examples::jsonb))
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) AS c (sale_no, name, violations, examples)
    ON CONFLICT (sale_no, name) DO UPDATE
      SET violations = excluded.violations, examples = excluded.examples, checked_at = now()`,
};

const READ = {
  name: 'audit_read_checks',
  text: 'SELECT name AS check, violations, examples, checked_at FROM audit_checks WHERE sale_no = $1',
};

export type StoredCheck = CheckResult & { check: AuditCheck; checked_at: Date };

export async function storeChecks(
  db: Queryable,
  saleNo: number,
  results: readonly (CheckResult & { check: AuditCheck })[],
): Promise<void> {
  await rows(db, STORE, [
    results.map(() => saleNo),
    results.map((r) => r.check),
    results.map((r) => r.violations),
    results.map((r) => JSON.stringify(r.examples)),
  ]);
}

/** A check that has not been made yet is not among them. */
export function readChecks(db: Queryable, saleNo: number): Promise<StoredCheck[]> {
  return rows(db, READ, [saleNo]);
}
