/**
 * The lines behind a certificate: the sale's history, what was tried to pay, what went back to Redis, and what operators
 * asked for. Read in pages by key within the snapshot of the summary, so that a sale of any size takes little memory.
 *
 * FIRST: $1 sale_no
 * LATE: $1 behind this id
 * ORDERS: $1 sale_no  $2, $3 behind this position and id  $4 how many
 * ATTEMPTS: $1 order ids
 * MOVEMENTS: $1 sale_no  $2 from batch  $3 to batch (nulls: those not sealed)
 * REQUESTS: $1 sale_no
 */
import { type Queryable, rows } from '../../platform/postgres.ts';
import { readHistory } from './read-history.ts';
import type { Certificate } from './summary.ts';

const IDS_A_PAGE = 5_000;
const ORDERS_A_PAGE = 2_000;
const BATCHES_A_PAGE = 2;

const FIRST = {
  name: 'evidence_first',
  text: 'SELECT coalesce(min(id), 0) AS id FROM sale_events WHERE sale_no = $1',
};

const LATE = {
  name: 'evidence_late',
  text: `
    SELECT greatest((SELECT max(id) FROM order_events), (SELECT max(id) FROM sale_events)) AS last,
      coalesce((SELECT position FROM outbox_cursors WHERE sink = 'chain'), 0) AS chained`,
};

const ORDERS = {
  name: 'evidence_orders',
  text: `
    SELECT id, seq FROM orders WHERE sale_no = $1 AND (seq, id) > ($2::bigint, $3::text COLLATE "C")
    ORDER BY seq, id LIMIT $4`,
};

const ATTEMPTS = {
  name: 'evidence_attempts',
  text: `
    SELECT order_id, no, id, psp, psp_ref, state, reversal_wanted, amount, currency, refunded
    FROM attempts WHERE order_id = ANY ($1::text[]) ORDER BY order_id, no`,
};

const MOVEMENTS = {
  name: 'evidence_movements',
  text: `
    SELECT id, order_id, cause, sku, to_available, from_held, encode(buyer_hash, 'hex') AS buyer, buyer_units, n
    FROM movements WHERE sale_no = $1 AND n BETWEEN $2 AND $3
    UNION ALL
    SELECT id, order_id, cause, sku, to_available, from_held, encode(buyer_hash, 'hex'), buyer_units, n
    FROM movements WHERE sale_no = $1 AND n IS NULL AND $2::bigint IS NULL
    ORDER BY n, id`,
};

const REQUESTS = {
  name: 'evidence_requests',
  text: `
    SELECT kind AS request, key, answer -> 'items' AS items FROM operator_requests
    WHERE sale_no = $1 AND kind IN ('topup', 'reduce') AND answer IS NOT NULL ORDER BY key`,
};

type AttemptRow = {
  order_id: string;
  no: number;
  id: string;
  psp: string;
  psp_ref: string | null;
  state: string;
  reversal_wanted: boolean;
  amount: number;
  currency: string;
  refunded: number;
};

type MovementRow = {
  id: number;
  order_id: string | null;
  cause: string;
  sku: string;
  to_available: number;
  from_held: number;
  buyer: string | null;
  buyer_units: number;
  n: number | null;
};

/** Pages of lines, without line ends. `tx`: the snapshot in which `certificate` was read. */
export async function* evidence(
  tx: Queryable,
  saleNo: number,
  certificate: Certificate,
): AsyncGenerator<string[]> {
  yield* history(tx, saleNo, certificate.history.last_id);
  yield* attempts(tx, saleNo);
  yield* movements(tx, saleNo, certificate.movements.sealed_n);
  type Request = { request: string; key: string; items: { sku: string; qty: number }[] };
  const requests = await rows<Request>(tx, REQUESTS, [saleNo]);
  yield requests.map(({ request, key, items }) =>
    JSON.stringify({ kind: 'request', request, key, items: items.map(({ sku, qty }) => [sku, qty]) }),
  );
}

/** The links of the chain, then a line that says so, then what has come since. */
async function* history(tx: Queryable, saleNo: number, last_id: number): AsyncGenerator<string[]> {
  const [{ id: first }] = await rows<{ id: number }>(tx, FIRST, [saleNo]);
  const pages = async function* (from: number, to: number) {
    for (let after = from; after < to; after += IDS_A_PAGE) {
      const upto = Math.min(after + IDS_A_PAGE, to);
      yield (await readHistory(tx, { after, upto, sale_no: saleNo })).map(({ line }) => line);
    }
  };
  if (first > 0) yield* pages(first - 1, last_id);
  yield [JSON.stringify({ kind: 'unchained' })];
  const [{ last, chained }] = await rows<{ last: number | null; chained: number }>(tx, LATE);
  yield* pages(Math.max(chained, last_id), last ?? 0);
}

async function* attempts(tx: Queryable, saleNo: number): AsyncGenerator<string[]> {
  let at = { seq: -1, id: '' };
  for (;;) {
    const page = await rows<{ id: string; seq: number }>(tx, ORDERS, [saleNo, at.seq, at.id, ORDERS_A_PAGE]);
    if (page.length === 0) return;
    at = page[page.length - 1];
    const found = await rows<AttemptRow>(tx, ATTEMPTS, [page.map(({ id }) => id)]);
    yield found.map(({ order_id, ...a }) => JSON.stringify({ kind: 'attempt', order: order_id, ...a }));
  }
}

async function* movements(tx: Queryable, saleNo: number, sealed_n: number): AsyncGenerator<string[]> {
  const page = async (from: number | null, to: number | null) =>
    (await rows<MovementRow>(tx, MOVEMENTS, [saleNo, from, to])).map(({ order_id, ...m }) =>
      JSON.stringify({ kind: 'movement', order: order_id, ...m }),
    );
  for (let from = 1; from <= sealed_n; from += BATCHES_A_PAGE) {
    yield await page(from, Math.min(from + BATCHES_A_PAGE - 1, sealed_n));
  }
  yield await page(null, null);
}
