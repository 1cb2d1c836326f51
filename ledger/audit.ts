/**
 * The conservation equation of a sale at its cursor, per SKU:
 *
 *     told available = total - reserved - sold - movements to available not yet applied
 *     told held      = reserved + movements from held not yet applied
 *
 * "Not yet applied" at the cursor: not sealed, or sealed under a number above the cursor's applied n. One
 * statement is one snapshot, so traffic going on meanwhile changes nothing.
 *
 * Before a rebuild has sealed the sale, the ledger takes in what a memory told that is given up: of stock at movements
 * that the cursor does not count any more. Sealing sets it right; until then nothing is said.
 *
 * AUDIT: $1 sale_no   ORDERS: $1 sale_no
 */
import { type Queryable, rows } from '../platform/postgres.ts';

const AUDIT_SALE = {
  name: 'audit_sale',
  text: `
    WITH pending AS (
      SELECT m.sku, m.to_available, m.from_held FROM movements m WHERE m.sale_no = $1 AND m.n IS NULL
      UNION ALL
      SELECT m.sku, m.to_available, m.from_held FROM movements m
      WHERE m.sale_no = $1 AND m.n > (SELECT applied_n FROM cursors WHERE sale_no = $1)
    ), waiting AS (
      SELECT sku, sum(to_available)::bigint AS to_available, sum(from_held)::bigint AS from_held
      FROM pending GROUP BY sku
    )
    SELECT c.seq, c.epoch, c.applied_n, c.sealed_n, c.acked_n, c.fenced_reason,
      EXISTS (
        SELECT FROM rebuilds WHERE sale_no = $1 AND finished_at IS NULL AND phase IN ('draining', 'sealing')
      ) AS recovering,
      k.sku, k.total, k.reserved, k.sold, k.told_available, k.told_held,
      coalesce(w.to_available, 0) AS waiting_to_available, coalesce(w.from_held, 0) AS waiting_from_held
    FROM cursors c JOIN skus k USING (sale_no) LEFT JOIN waiting w USING (sku)
    WHERE c.sale_no = $1 ORDER BY k.position`,
};

const AUDIT_ORDERS = {
  name: 'audit_orders',
  text: `
    SELECT k.sku, k.reserved, k.sold, coalesce(o.reserved, 0) AS orders_reserved, coalesce(o.sold, 0) AS orders_sold
    FROM skus k LEFT JOIN (
      SELECT i.sku,
        coalesce(sum(i.qty) FILTER (WHERE o.state IN ('reserved', 'authorized')), 0)::bigint AS reserved,
        coalesce(sum(i.qty) FILTER (WHERE o.state IN ('confirmed', 'shipped', 'delivered', 'refunded') AND NOT o.restock), 0)::bigint AS sold
      FROM orders o JOIN order_items i ON i.order_id = o.id
      WHERE o.sale_no = $1 GROUP BY i.sku
    ) o USING (sku)
    WHERE k.sale_no = $1 AND (k.reserved, k.sold) <> (coalesce(o.reserved, 0), coalesce(o.sold, 0))`,
};

export type SkuAudit = {
  sku: string;
  total: number;
  reserved: number;
  sold: number;
  told_available: number;
  told_held: number;
  waiting_to_available: number;
  waiting_from_held: number;
  /** told - what the equation says; 0 when it holds. */
  available_off: number;
  held_off: number;
};

export type SaleAudit = {
  sale_no: number;
  /** Position in the stream at which the equation is read. */
  seq: number;
  epoch: number;
  applied_n: number;
  sealed_n: number;
  acked_n: number;
  fenced_reason: string | null;
  skus: SkuAudit[];
  /** Null: it can't be said, because a memory that is given up is being read into the ledger. */
  balanced: boolean | null;
  /** Units by which the books are off, all SKUs together; 0 when balanced, or when that can't be said. */
  imbalance: number;
  live: LiveCheck;
};

/** Redis itself against the ledger: only where both stand at the same position can they be compared. */
export type LiveCheck =
  | { kind: 'agrees' }
  | { kind: 'differs'; skus: { sku: string; available: number; held: number }[] }
  /** Entries the ledger has not ingested yet: later. */
  | { kind: 'ahead'; entries: number }
  /** No record, another epoch, Redis behind the ledger, or a rebuild before it has sealed the sale. */
  | { kind: 'not_comparable'; reason: 'missing' | 'epoch' | 'behind' | 'recovering' }
  | { kind: 'not_asked' };

/** A sale's counters as Redis holds them at one moment. */
export type LiveStock = {
  epoch: number;
  seq: number;
  available: ReadonlyMap<string, number>;
  held: ReadonlyMap<string, number>;
};

type AuditRow = Omit<SkuAudit, 'available_off' | 'held_off'> &
  Pick<SaleAudit, 'seq' | 'epoch' | 'applied_n' | 'sealed_n' | 'acked_n' | 'fenced_reason'> & {
    recovering: boolean;
  };

/**
 * Throws if there is no such sale. `readLive` asks Redis (null: it has no record); it is called after the
 * ledger was read, so that Redis can't be seen behind it by traffic alone.
 */
export async function auditSale(
  db: Queryable,
  saleNo: number,
  readLive?: () => Promise<LiveStock | null>,
): Promise<SaleAudit> {
  const found = await rows<AuditRow>(db, AUDIT_SALE, [saleNo]);
  if (found.length === 0) throw new Error(`no sale ${saleNo}`);
  const { recovering, seq, epoch, applied_n, sealed_n, acked_n, fenced_reason } = found[0];
  const skus = found.map(skuAudit);
  const at = { sale_no: saleNo, seq, epoch, applied_n, sealed_n, acked_n, fenced_reason, skus };
  if (recovering) {
    const live: LiveCheck = { kind: 'not_comparable', reason: 'recovering' };
    return { ...at, imbalance: 0, balanced: null, live };
  }
  const imbalance = skus.reduce((sum, s) => sum + Math.abs(s.available_off) + Math.abs(s.held_off), 0);
  const live: LiveCheck = readLive
    ? compareLive({ seq, epoch, skus }, await readLive())
    : { kind: 'not_asked' };
  const balanced = imbalance === 0 && skus.every(isSound) && live.kind !== 'differs';
  return { ...at, imbalance, balanced, live };
}

function skuAudit(row: AuditRow): SkuAudit {
  const { sku, total, reserved, sold, told_available, told_held, waiting_to_available, waiting_from_held } =
    row;
  return {
    sku,
    total,
    reserved,
    sold,
    told_available,
    told_held,
    waiting_to_available,
    waiting_from_held,
    available_off: told_available - (total - reserved - sold - waiting_to_available),
    held_off: told_held - (reserved + waiting_from_held),
  };
}

/** Every term >= 0, nothing sold that was not there. */
function isSound(s: SkuAudit): boolean {
  const terms = [s.reserved, s.sold, s.told_available, s.told_held, s.total - s.reserved - s.sold];
  return terms.every((term) => term >= 0);
}

function compareLive(
  ledger: { seq: number; epoch: number; skus: readonly SkuAudit[] },
  live: LiveStock | null,
): LiveCheck {
  if (!live) return { kind: 'not_comparable', reason: 'missing' };
  if (live.epoch !== ledger.epoch) return { kind: 'not_comparable', reason: 'epoch' };
  if (live.seq > ledger.seq) return { kind: 'ahead', entries: live.seq - ledger.seq };
  if (live.seq < ledger.seq) return { kind: 'not_comparable', reason: 'behind' };
  const skus = ledger.skus
    .map(({ sku, told_available, told_held }) => ({
      sku,
      available: (live.available.get(sku) ?? 0) - told_available,
      held: (live.held.get(sku) ?? 0) - told_held,
    }))
    .filter((s) => s.available !== 0 || s.held !== 0);
  return skus.length === 0 ? { kind: 'agrees' } : { kind: 'differs', skus };
}

/**
 * The counters of a sale against its orders, added up one by one: a second opinion that reads every order.
 * Returns the SKUs that differ.
 */
export function auditOrders(
  db: Queryable,
  saleNo: number,
): Promise<{ sku: string; reserved: number; sold: number; orders_reserved: number; orders_sold: number }[]> {
  return rows(db, AUDIT_ORDERS, [saleNo]);
}
