/**
 * What the audit and a certificate cost in a sale of many orders: three items each, nine of ten paid, the rest expired.
 * Own Postgres in a temporary folder, no Redis: all of it is work on the ledger.
 *
 *     npm run bench:audit -- [orders]
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { auditSale } from '../ledger/audit.ts';
import { auditOrdersById, BEFORE_ALL, ordersPage } from '../ledger/audit-orders.ts';
import { auditWholeSale } from '../ledger/audit-sale.ts';
import { writeCertificate } from '../ledger/certificate/write-certificate.ts';
import { migrate } from '../ledger/migrate.ts';
import { findOrStartCursor } from '../ledger/outbox/cursors.ts';
import { markLoaded } from '../ledger/stream/mark-loaded.ts';
import { removePostgres, startPostgres } from '../platform/local/postgres-server.ts';
import { createPool, type Pool, withConnection } from '../platform/postgres.ts';
import { createChainSink } from '../reconciler/outbox/chain/sink.ts';
import { dispatch } from '../reconciler/outbox/dispatch.ts';
import { ledgerSale } from '../test/support/ledger.ts';

const ORDERS = Number(process.argv[2] ?? 50_000);
const CHUNK = 10_000;
const AUDITED_MAX = 100_000;
const SKUS = Array.from({ length: 10 }, (_, i) => `sku-${i}`);

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; cpu_ms: number; value: T }> {
  const [cpu, begun] = [process.cpuUsage(), performance.now()];
  const value = await work();
  const { user, system } = process.cpuUsage(cpu);
  return { ms: Math.round(performance.now() - begun), cpu_ms: Math.round((user + system) / 1000), value };
}

/** Rows as ingest and the saga leave them, written in bulk and without their triggers: a million orders in minutes. */
const FILL = [
  `INSERT INTO orders (id, sale_no, tenant, buyer, buyer_hash, fingerprint, state, road, currency, subtotal, discount,
     shipping, tax, total, reserved_at, first_expires_at, expires_at, limit_units, seq, cause, actor)
   SELECT encode(substr(sha256(n::text::bytea), 1, 20), 'hex'), $1, 'default', 'buyer-' || n,
     substr(sha256(n::text::bytea), 1, 16), substr(sha256(n::text::bytea), 1, 16),
     CASE WHEN n % 10 = 0 THEN 'expired' ELSE 'confirmed' END, 'checkout', 'USD', 750, 0, 0, 0, 750, now(), now(), now(), 3,
     2 + n / 32, 'checkout', 'buyer'
   FROM generate_series($2::bigint, $3) AS n`,
  `INSERT INTO order_items (order_id, line, sku, qty, unit_price)
   SELECT encode(substr(sha256(n::text::bytea), 1, 20), 'hex'), k + 1, 'sku-' || (n + 3 * k) % 10, 1, 250
   FROM generate_series($2::bigint, $3) AS n, generate_series(0, 2) AS k WHERE $1 > 0`,
  `INSERT INTO attempts (order_id, no, psp, psp_ref, method_type, token, amount, currency, state)
   SELECT encode(substr(sha256(n::text::bytea), 1, 20), 'hex'), 1, 'sandbox', 'ref-' || n, 'card', 'pm_ok', 750, 'USD',
     CASE WHEN n % 10 = 0 THEN 'declined' ELSE 'captured' END
   FROM generate_series($2::bigint, $3) AS n WHERE $1 > 0`,
  `INSERT INTO order_events (order_id, from_state, to_state, cause, actor, detail)
   SELECT encode(substr(sha256(n::text::bytea), 1, 20), 'hex'), e.from_state, e.to_state, e.cause, 'test', e.detail::jsonb
   FROM generate_series(0, 3) AS step (k) CROSS JOIN generate_series($2::bigint, $3) AS n
   JOIN (VALUES
     (0, false, NULL, 'reserved', 'checkout', NULL), (0, true, NULL, 'reserved', 'checkout', NULL),
     (1, false, 'reserved', 'authorized', 'paid', NULL), (1, true, 'reserved', 'reserved', 'payment_declined', '{"code": "declined"}'),
     (2, false, 'authorized', 'confirmed', 'paid', NULL), (2, true, 'reserved', 'expired', 'deadline', NULL),
     (3, false, 'confirmed', 'confirmed', 'payment_captured', '{"amount": 750, "currency": "USD"}')
   ) AS e (k, lost, from_state, to_state, cause, detail) ON e.lost = (n % 10 = 0)
   WHERE e.k = step.k AND $1 > 0 ORDER BY step.k, n`,
  `INSERT INTO movements (sale_no, order_id, sku, to_available, from_held, buyer_hash, buyer_units, n)
   SELECT $1, i.order_id, i.sku, CASE o.state WHEN 'expired' THEN 1 ELSE 0 END, 1,
     CASE WHEN o.state = 'expired' AND i.line = 1 THEN o.buyer_hash END,
     CASE WHEN o.state = 'expired' AND i.line = 1 THEN 3 ELSE 0 END, 1 + $2::bigint / 10000
   FROM generate_series($2::bigint, $3) AS n
   JOIN orders o ON o.id = encode(substr(sha256(n::text::bytea), 1, 20), 'hex')
   JOIN order_items i ON i.order_id = o.id`,
];
const COUNT = [
  `UPDATE skus k SET sold = s.sold, told_available = k.total - s.sold FROM (
     SELECT i.sku, count(*) AS sold FROM order_items i JOIN orders o ON o.id = i.order_id
     WHERE o.sale_no = $1 AND o.state = 'confirmed' GROUP BY i.sku) AS s WHERE k.sale_no = $1 AND k.sku = s.sku`,
  `UPDATE cursors SET sealed_n = (SELECT max(n) FROM movements WHERE sale_no = $1) WHERE sale_no = $1`,
  'UPDATE cursors SET acked_n = sealed_n, applied_n = sealed_n WHERE sale_no = $1',
];

async function fill(db: Pool): Promise<number> {
  const sale = await ledgerSale(db, { items: SKUS.map((sku) => ({ sku, qty: ORDERS })), limit: 5 });
  await markLoaded(db, sale.sale_no, { epoch: 1, gate_version: 1 });
  await withConnection(db, async (client) => {
    await client.query(
      `SET session_replication_role = replica; SET enable_seqscan = on; SET enable_hashjoin = on`,
    );
    for (let done = 0; done < ORDERS; done += CHUNK) {
      const values = [sale.sale_no, done + 1, Math.min(done + CHUNK, ORDERS)];
      for (const text of FILL) await client.query({ text, values });
      if (done % 50_000 === 0) console.error(`${done} orders are there`);
    }
    for (const text of COUNT) await client.query({ text, values: [sale.sale_no] });
    await client.query('RESET ALL');
  });
  await db.query('VACUUM ANALYZE');
  return sale.sale_no;
}

async function chain(db: Pool): Promise<number> {
  const sink = createChainSink();
  await findOrStartCursor(db, sink.name, sink.from);
  const { rows } = await db.query('SELECT last_value AS last FROM order_events_id_seq');
  for (let links = 0; ; ) {
    const { position, taken } = await dispatch(db, sink, rows[0].last);
    links += taken;
    if (position >= rows[0].last) return links;
  }
}

async function auditOrders(db: Pool, sale_no: number): Promise<number> {
  let audited = 0;
  for (let at = BEFORE_ALL; audited < AUDITED_MAX; ) {
    const page = await ordersPage(db, sale_no, at, 500);
    if (page.length === 0) break;
    const wrong = await auditOrdersById(
      db,
      page.map(({ id }) => id),
      3_600_000,
    );
    if (wrong.length > 0) throw new Error(`found ${JSON.stringify(wrong[0])}`);
    audited += page.length;
    at = page[page.length - 1];
  }
  return audited;
}

const dir = mkdtempSync(join(tmpdir(), 'stampede-bench-'));
chmodSync(dir, 0o711);
const postgres = await startPostgres({ dir: join(dir, 'postgres') });
try {
  await migrate(postgres.url);
  const settings = { max: 3, application_name: 'bench', on_error: () => {}, statement_timeout_ms: 600_000 };
  const db = createPool({ url: postgres.url, ...settings });
  const sale_no = await fill(db);
  console.error('filled');
  const equation = await timed(() => auditSale(db, sale_no));
  const whole = await timed(() => auditWholeSale(db, sale_no));
  if (Object.values(whole.value).some(({ violations }) => violations > 0))
    throw new Error(JSON.stringify(whole.value));
  const orders = await timed(() => auditOrders(db, sale_no));
  const links = await timed(() => chain(db));
  console.error('chained');
  const file = join(dir, 'certificate.jsonl');
  const out = createWriteStream(file);
  let bytes = 0;
  const certificate = await timed(async () => {
    const written = await writeCertificate({
      ...{ pool: db, sale_no },
      write: (text) =>
        new Promise((resolve, reject) => {
          bytes += Buffer.byteLength(text);
          out.write(text, (error) => (error ? reject(error) : resolve()));
        }),
    });
    await new Promise<void>((resolve) => out.end(resolve));
    return written;
  });
  const rss_mb = Math.round(process.memoryUsage().rss / 1e6);
  await db.end();
  const verify = (...more: string[]) =>
    timed(() => {
      const args = ['--import', 'tsx', 'verify/main.ts', file, '--json', ...more];
      return Promise.resolve(
        JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as { ok: boolean },
      );
    });
  const by_file = await verify();
  const by_ledger = await verify('--database', postgres.url);
  console.log(
    JSON.stringify(
      {
        orders: ORDERS,
        load_average: loadavg()[0],
        equation_ms: equation.ms,
        whole_sale_ms: whole.ms,
        orders_audited_per_s: Math.round((orders.value / orders.ms) * 1000),
        links: links.value,
        links_per_s: Math.round((links.value / links.ms) * 1000),
        link_cpu_us: Number(((links.cpu_ms / links.value) * 1000).toFixed(1)),
        certificate_ms: certificate.ms,
        certificate_lines: certificate.value.lines,
        certificate_mb: Math.round(bytes / 1e6),
        missing: certificate.value.certificate.missing,
        rss_mb,
        verified: by_file.value.ok && by_ledger.value.ok,
        verify_file_ms: by_file.ms,
        verify_ledger_ms: by_ledger.ms - by_file.ms,
      },
      null,
      2,
    ),
  );
} finally {
  await postgres.stop();
  removePostgres(join(dir, 'postgres'));
  rmSync(dir, { recursive: true, force: true });
}
process.exit(0);
