/**
 * What a certificate says of a sale: its totals, the equation for every SKU, and where the chain over its history
 * stands. Everything is read in one snapshot, in which the evidence behind it is read as well.
 *
 * PLACE: $1 tenant  $2 sale
 * SALE, STOCK, ORDERS, PAYMENTS, OPEN, HISTORY: $1 sale_no
 */
import { type Queryable, rows } from '../../platform/postgres.ts';
import { auditSale, type LiveStock, type SaleAudit } from '../audit.ts';

const PLACE = {
  name: 'certificate_place',
  text: `
    SELECT s.sale_no, s.tenant, s.id AS sale, c.generation FROM sales s JOIN cursors c USING (sale_no)
    WHERE s.tenant = $1 AND s.id = $2`,
};

const SALE = {
  name: 'certificate_sale',
  text: `
    SELECT s.tenant, s.id AS sale, s.currency, s.limit_per_buyer, s.opens_at, s.closes_at, s.gate,
      now() AS made_at, s.closes_at < now() - interval '1 minute' AS over,
      s.gate = 'closed' AND c.gate_version_seen >= s.gate_version AS closed,
      c.loaded, c.generation, encode(c.chain, 'hex') AS stream_chain, encode(c.digest, 'hex') AS digest
    FROM sales s JOIN cursors c USING (sale_no) WHERE sale_no = $1`,
};

const STOCK = {
  name: 'certificate_stock',
  text: `
    SELECT k.sku, k.name, k.unit_price,
      coalesce(sum(e.change) FILTER (WHERE e.kind = 'created'), 0)::bigint AS created,
      coalesce(sum(e.change) FILTER (WHERE e.kind = 'topup'), 0)::bigint AS added,
      coalesce(-sum(e.change) FILTER (WHERE e.kind = 'reduce'), 0)::bigint AS taken
    FROM skus k LEFT JOIN sale_events e ON e.sale_no = k.sale_no AND e.sku = k.sku
    WHERE k.sale_no = $1 GROUP BY k.sku, k.name, k.unit_price, k.position ORDER BY k.position`,
};

const ORDERS = {
  name: 'certificate_orders',
  text: `
    SELECT state, count(*) AS orders, sum(total)::bigint AS total FROM orders
    WHERE sale_no = $1 GROUP BY state ORDER BY state`,
};

const PAYMENTS = {
  name: 'certificate_payments',
  text: `
    SELECT a.psp, a.state, a.reversal_wanted, count(*) AS attempts, sum(a.amount)::bigint AS amount,
      sum(a.refunded)::bigint AS refunded
    FROM orders o JOIN attempts a ON a.order_id = o.id
    WHERE o.sale_no = $1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
};

const OPEN = {
  name: 'certificate_open',
  text: `
    SELECT (SELECT count(*) FROM movements WHERE sale_no = $1 AND n IS NULL) AS unsealed,
      (SELECT count(*) FROM orders WHERE sale_no = $1 AND held) AS held,
      (SELECT count(*) FROM attempts a JOIN orders o ON o.id = a.order_id
        WHERE o.sale_no = $1 AND a.unfinished) AS unfinished,
      (SELECT count(*) FROM refunds r JOIN orders o ON o.id = r.order_id
        WHERE o.sale_no = $1 AND r.state = 'wanted') AS refunds`,
};

// What the chain has not taken yet lies behind the cursor of its sink.
const HISTORY = {
  name: 'certificate_history',
  text: `
    WITH taken AS (SELECT coalesce((SELECT position FROM outbox_cursors WHERE sink = 'chain'), 0) AS position)
    SELECT coalesce(c.events, 0) AS events, coalesce(c.last_id, 0) AS last_id, encode(c.head, 'hex') AS head,
      (SELECT count(*) FROM order_events e JOIN orders o ON o.id = e.order_id
        WHERE e.id > taken.position AND o.sale_no = s.sale_no)
      + (SELECT count(*) FROM sale_events e WHERE e.id > taken.position AND e.sale_no = s.sale_no) AS unchained
    FROM taken, sales s LEFT JOIN event_chains c USING (sale_no) WHERE s.sale_no = $1`,
};

type SaleRow = {
  tenant: string;
  sale: string;
  currency: string;
  limit_per_buyer: number;
  opens_at: Date | null;
  closes_at: Date | null;
  gate: string;
  made_at: Date;
  over: boolean | null;
  closed: boolean;
  loaded: boolean;
  generation: number;
  stream_chain: string;
  digest: string | null;
};
type StockRow = {
  sku: string;
  name: string;
  unit_price: number;
  created: number;
  added: number;
  taken: number;
};
type PaymentRow = {
  psp: string;
  state: string;
  reversal_wanted: boolean;
  attempts: number;
  amount: number;
  refunded: number;
};
type Open = { unsealed: number; held: number; unfinished: number; refunds: number };
type History = { events: number; last_id: number; head: string | null; unchained: number };

export type SaleToCertify = { sale_no: number; tenant: string; sale: string; generation: number };

/** Reads what an auditor may read, and no more: a sale's salt is not theirs to know. */
export async function saleToCertify(
  db: Queryable,
  tenant: string,
  sale: string,
): Promise<SaleToCertify | undefined> {
  return (await rows<SaleToCertify>(db, PLACE, [tenant, sale]))[0];
}

/** docs/certificate.md says what each member means. */
export type Certificate = ReturnType<typeof documentOf>;

/** Why a certificate would not be final: something may still come that changes it. Stable names. */
export type Missing =
  | 'not_loaded'
  | 'not_closed'
  | 'fenced'
  | 'not_balanced'
  | 'movements_under_way'
  | 'orders_held'
  | 'payments_unfinished'
  | 'history_not_chained';

/**
 * `tx`: a snapshot. `readLive` asks Redis and is needed only for a sale that its closing time has closed and no operator:
 * without it such a sale is `not_closed`, because Redis may know reservations that the ledger does not.
 */
export async function summarize(
  tx: Queryable,
  saleNo: number,
  readLive?: () => Promise<LiveStock | null>,
): Promise<Certificate> {
  const [sale] = await rows<SaleRow>(tx, SALE, [saleNo]);
  if (!sale) throw new Error(`no sale ${saleNo}`);
  const audit = await auditSale(tx, saleNo, !sale.closed && sale.over ? readLive : undefined);
  const stock = await rows<StockRow>(tx, STOCK, [saleNo]);
  const orders = await rows<{ state: string; orders: number; total: number }>(tx, ORDERS, [saleNo]);
  const payments = await rows<PaymentRow>(tx, PAYMENTS, [saleNo]);
  const [open] = await rows<Open>(tx, OPEN, [saleNo]);
  const [history] = await rows<History>(tx, HISTORY, [saleNo]);
  return documentOf({ sale, audit, stock, orders, payments, open, history });
}

type Read = {
  sale: SaleRow;
  audit: SaleAudit;
  stock: StockRow[];
  orders: { state: string; orders: number; total: number }[];
  payments: PaymentRow[];
  open: Open;
  history: History;
};

function documentOf(read: Read) {
  const { sale, audit, stock, open, history } = read;
  const missing = missingIn(read);
  return {
    kind: 'certificate' as const,
    format: 1 as const,
    interim: missing.length > 0,
    missing,
    made_at: sale.made_at.toISOString(),
    tenant: sale.tenant,
    sale: sale.sale,
    currency: sale.currency,
    limit_per_buyer: sale.limit_per_buyer,
    opens_at: sale.opens_at?.toISOString() ?? null,
    closes_at: sale.closes_at?.toISOString() ?? null,
    gate: sale.gate,
    stream: {
      seq: audit.seq,
      epoch: audit.epoch,
      generation: sale.generation,
      digest: sale.digest,
      chain: sale.stream_chain,
    },
    movements: {
      applied_n: audit.applied_n,
      acked_n: audit.acked_n,
      sealed_n: audit.sealed_n,
      unsealed: open.unsealed,
    },
    history,
    skus: audit.skus.map((k, i) => ({
      sku: k.sku,
      name: stock[i].name,
      unit_price: stock[i].unit_price,
      created: stock[i].created,
      added: stock[i].added,
      taken: stock[i].taken,
      total: k.total,
      reserved: k.reserved,
      sold: k.sold,
      available: k.told_available,
      held: k.told_held,
      waiting_to_available: k.waiting_to_available,
      waiting_from_held: k.waiting_from_held,
    })),
    orders: read.orders,
    payments: read.payments,
    balanced: isBalanced(read),
  };
}

function isBalanced({ audit, stock }: Read): boolean {
  return (
    audit.balanced === true &&
    audit.skus.every((k, i) => k.total === stock[i].created + stock[i].added - stock[i].taken)
  );
}

function missingIn(read: Read): Missing[] {
  const { sale, audit, open, history } = read;
  const closed = sale.closed || (sale.over === true && audit.live.kind === 'agrees');
  const moving = open.unsealed > 0 || audit.applied_n !== audit.sealed_n || audit.acked_n !== audit.sealed_n;
  const found: [Missing, boolean][] = [
    ['not_loaded', !sale.loaded],
    ['not_closed', !closed],
    ['fenced', audit.fenced_reason !== null],
    ['not_balanced', !isBalanced(read)],
    ['movements_under_way', moving],
    ['orders_held', open.held > 0],
    ['payments_unfinished', open.unfinished + open.refunds > 0],
    ['history_not_chained', history.unchained > 0],
  ];
  return found.filter(([, there]) => there).map(([name]) => name);
}
