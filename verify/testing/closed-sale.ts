/** A sale that has seen everything there is, closed and at its end: for certificates, and for what is done to them. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { createSigner } from '../../ledger/certificate/sign.ts';
import { writeCertificate } from '../../ledger/certificate/write-certificate.ts';
import { authorizeOrders } from '../../ledger/orders/authorize-orders.ts';
import { cancelOrder } from '../../ledger/orders/cancel-order.ts';
import { confirmOrders } from '../../ledger/orders/confirm-orders.ts';
import { deliverOrder } from '../../ledger/orders/deliver-order.ts';
import { expireDue } from '../../ledger/orders/expire-due.ts';
import { findOrStartCursor } from '../../ledger/outbox/cursors.ts';
import { createHorizon } from '../../ledger/outbox/horizon.ts';
import { recordReduce } from '../../ledger/sales/record-reduce.ts';
import { setGate } from '../../ledger/sales/set-gate.ts';
import { topup } from '../../ledger/sales/topup.ts';
import { reduce } from '../../lua/scripts.ts';
import { type Pool, withConnection } from '../../platform/postgres.ts';
import { createChainSink } from '../../reconciler/outbox/chain/sink.ts';
import { dispatch } from '../../reconciler/outbox/dispatch.ts';
import { placeOf } from '../../reconciler/sale-place.ts';
import { hash16, pastDeadline, setHeartbeat } from '../../test/support/ledger.ts';
import { type Rig, rig } from '../../test/support/reconciler.ts';

const BY = { cause: 'test', actor: 'test' };
const LIMIT = 5;

/** Takes all that has happened so far into the chains. */
export async function chainUp(db: Pool): Promise<void> {
  const sink = createChainSink();
  await findOrStartCursor(db, sink.name, sink.from);
  await withConnection(db, async (client) => {
    const look = createHorizon(client);
    for (;;) {
      const { safe_id, last_id } = await look();
      if (safe_id < last_id) continue;
      while ((await dispatch(db, sink, safe_id)).position < safe_id);
      return;
    }
  });
}

/** What the provider's answers make of an order's payment. */
async function attempt(db: Pool, id: string, states: readonly string[]): Promise<void> {
  await db.query({
    text: `INSERT INTO attempts (order_id, no, psp, psp_ref, method_type, token, amount, currency)
      SELECT id, (SELECT count(*) + 1 FROM attempts WHERE order_id = $1), 'sandbox', 'ref-' || $1, 'card', 'pm_ok',
        total, currency FROM orders WHERE id = $1`,
    values: [id],
  });
  await becomes(db, id, states);
}

async function becomes(db: Pool, id: string, states: readonly string[]): Promise<void> {
  for (const state of states) {
    await db.query({
      text: `UPDATE attempts SET state = $2 WHERE order_id = $1 AND (live OR $2 = 'refunded')`,
      values: [id, state],
    });
  }
}

export async function settle(sale: Rig): Promise<void> {
  do await sale.settle();
  while (await sale.release());
  await sale.settle();
}

/** Orders in every state, a top-up, a reduce, a pause, and the close. `midway`: what else happens in the middle. */
export async function closedSale(
  options: { db: Pool; redis: Redis },
  midway: (sale: Rig) => Promise<void> = async () => {},
): Promise<Rig> {
  const { db, redis } = options;
  const items = [
    { sku: 'a', qty: 20 },
    { sku: 'b', qty: 9 },
  ];
  const sale = await rig({ db, redis, items, limit: LIMIT });
  await sale.settle();
  const row = await sale.sale();
  const { tenant } = row;
  const taken = await sale.reserve([
    ...['x', 'x', 'y', 'z', 'u', 'v', 'w'].map((buyer) => ({
      buyer,
      lines: [
        { sku: 'a', qty: 1 },
        { sku: 'b', qty: 1 },
      ],
    })),
  ]);
  const [sold, shipped, declined, canceled, late, refunded, back] = taken.order_ids;
  await settle(sale);
  for (const id of [sold, shipped, canceled, refunded, back]) {
    await attempt(db, id, ['authorized']);
    await authorizeOrders(db, [id], BY);
    await confirmOrders(db, [id], BY);
    await becomes(db, id, ['captured']);
  }
  await attempt(db, declined, ['declined']);
  await cancelOrder(db, { tenant, order_id: canceled, buyer: 'z' });
  await becomes(db, canceled, ['refunded']);
  await setHeartbeat(db);
  await pastDeadline(db, [declined, late]);
  await expireDue(db, { limit: 10 });
  await midway(sale);
  await db.query({
    text: `UPDATE orders SET state = 'shipped' WHERE id = ANY ($1)`,
    values: [[shipped, back]],
  });
  await deliverOrder(db, { tenant, order_id: shipped, actor: 'operator:test' });
  for (const [id, restock] of [
    [refunded, false],
    [back, true],
  ] as const) {
    await db.query({
      text: `UPDATE orders SET state = 'refunded', restock = $2, cause = 'test', actor = 'operator:test' WHERE id = $1`,
      values: [id, restock],
    });
    await becomes(db, id, ['refunded']);
  }
  const request = { tenant, sale: row.sale, fingerprint: hash16('f') };
  await topup(db, { ...request, key: 'more-of-it-please', items: [{ sku: 'a', qty: 7 }] });
  await settle(sale);
  await recordReduce(db, { ...request, key: 'and-less-of-that' });
  await reduce(
    redis,
    placeOf(await sale.sale()),
    {
      ...{ id: hash16('and-less-of-that'), request_id: 'and-less-of-that' },
      ...{ fingerprint: hash16('f'), items: [{ sku: 'b', qty: 2 }] },
    },
    Date.now(),
  );
  await settle(sale);
  await setGate(db, tenant, row.sale, 'pause');
  await settle(sale);
  await setGate(db, tenant, row.sale, 'resume');
  await settle(sale);
  const again = await sale.reserve([{ buyer: 'y' }]);
  await settle(sale);
  const [last] = again.order_ids;
  await attempt(db, last, ['authorized']);
  await authorizeOrders(db, [last], BY);
  await confirmOrders(db, [last], BY);
  await becomes(db, last, ['captured']);
  await setGate(db, tenant, row.sale, 'close');
  await settle(sale);
  await chainUp(db);
  return sale;
}

export type CertificateFile = { path: string; lines(): string[]; write(lines: readonly string[]): string };

/** The certificate of a sale as a file; `write` makes another one of other lines. */
export async function certificateOf(db: Pool, sale_no: number, key?: string): Promise<CertificateFile> {
  let bytes = '';
  await writeCertificate({
    ...{ pool: db, sale_no, signer: key ? createSigner(key) : undefined },
    write: async (more) => {
      bytes += more;
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'stampede-certificate-'));
  const path = join(folder, 'sale.jsonl');
  writeFileSync(path, bytes);
  let copies = 0;
  return {
    path,
    lines: () => readFileSync(path, 'utf8').split('\n').slice(0, -1),
    write(lines) {
      copies += 1;
      const other = join(folder, `copy-${copies}.jsonl`);
      writeFileSync(other, lines.map((line) => `${line}\n`).join(''));
      return other;
    },
  };
}
