/** The simulated ledger against the real one: the same verbs in the same order, the same answers and the same tables. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { beat } from '../../../ledger/heartbeat.ts';
import { ackBatch } from '../../../ledger/movements/ack-batch.ts';
import { readBatch } from '../../../ledger/movements/read-batch.ts';
import { releaseWork } from '../../../ledger/movements/release-work.ts';
import { sealBatch } from '../../../ledger/movements/seal-batch.ts';
import { cancelOrder } from '../../../ledger/orders/cancel-order.ts';
import { confirmOrder } from '../../../ledger/orders/confirm-order.ts';
import { expireDue } from '../../../ledger/orders/expire-due.ts';
import { refundOrder } from '../../../ledger/orders/refund-order.ts';
import { returnOrder } from '../../../ledger/orders/return-order.ts';
import { claimAttempts } from '../../../ledger/payments/claim-attempts.ts';
import { attemptsOfOrders } from '../../../ledger/payments/find-attempts.ts';
import { recordAttempts } from '../../../ledger/payments/record-attempts.ts';
import { recordShipment } from '../../../ledger/payments/record-shipment.ts';
import { settleAttempts } from '../../../ledger/payments/settle-attempts.ts';
import { claimRefunds, findRefund, settleRefund } from '../../../ledger/payments/settle-refund.ts';
import { startPayment } from '../../../ledger/payments/start-payment.ts';
import { storeReferences } from '../../../ledger/payments/store-references.ts';
import { beginRebuild } from '../../../ledger/rebuild/begin-rebuild.ts';
import { finishRebuild } from '../../../ledger/rebuild/progress.ts';
import { readBuyers, readOrders } from '../../../ledger/rebuild/read-sealed.ts';
import { withSealedSale } from '../../../ledger/rebuild/seal-sale.ts';
import { recordReduce } from '../../../ledger/sales/record-reduce.ts';
import { setGate } from '../../../ledger/sales/set-gate.ts';
import { topup } from '../../../ledger/sales/topup.ts';
import { followedSale } from '../../../ledger/stream/cursor.ts';
import { issueEpoch } from '../../../ledger/stream/issue-epoch.ts';
import { markLoaded } from '../../../ledger/stream/mark-loaded.ts';
import { markOpened } from '../../../ledger/stream/mark-opened.ts';
import { setFenced } from '../../../ledger/stream/set-fenced.ts';
import type { StreamEntry } from '../../../lua/entries.ts';
import { type Pool, withTransaction } from '../../../platform/postgres.ts';
import { writeChunk } from '../../../reconciler/ingest/write-chunk.ts';
import { hash16, ledgerSale, testLedger } from '../../support/ledger.ts';
import type { CursorRow, HeartbeatRow, SaleRow, SkuRow } from './rows.ts';
import { createSimLedger, type SimLedger } from './server.ts';
import { STATEMENTS, UNNAMED } from './statements/all.ts';
import { skuKey } from './statements/parts.ts';
import { directPool } from './testing/direct-pool.ts';

const RUNS = Number(process.env.SIM_TWIN_RUNS ?? 40);
const ORDERS = 5;
const HOUR_MS = 3_600_000;

let ledger: Awaited<ReturnType<typeof testLedger>>;
beforeAll(async () => {
  ledger = await testLedger();
});
afterAll(() => ledger.close());

const order = fc.nat({ max: ORDERS - 1 });
const state = fc.constantFrom(
  ...(['pending', 'unknown', 'authorized', 'captured', 'refunded', 'voided', 'declined'] as const),
);
const command = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('ingest' as const), order, qty: fc.integer({ min: 1, max: 3 }), lock: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reduce' as const), qty: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('topup' as const), key: fc.nat({ max: 2 }), qty: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('gate' as const), action: fc.constantFrom('pause' as const, 'resume' as const, 'close' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('over' as const), order }) },
  { weight: 2, arbitrary: fc.constant({ do: 'expire' as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('attempt' as const), order }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pay' as const), order }) },
  { weight: 7, arbitrary: fc.record({ do: fc.constant('settle' as const), order, state, final: fc.boolean(), key_no: fc.integer({ min: 1, max: 2 }), answered: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reference' as const), order, name: fc.constantFrom('p1', 'p2') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('claim' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('confirm' as const), order }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), order }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('ship' as const), order }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('refund' as const), order, key: fc.nat({ max: 3 }), part: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refunded' as const), done: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('return' as const), order, restock: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('seal' as const), ack: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('open' as const), stale: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fence' as const), reason: fc.constantFrom('no_record', 'order_did_not_fit'), stale: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rebuild' as const), finish: fc.boolean() }) },
); // biome-ignore format: a command a line
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;

type Side = { db: Pool; sale_no: number; tenant: string; id: string; raw: Raw; seq: number };
/** What only a test does: a deadline that has passed, tables as they are. */
type Raw = { over(order_id: string): Promise<void>; tables(): Promise<unknown> };

async function realSide(): Promise<Side> {
  const { db } = ledger;
  // Expiry asks for no sale: what the sequence before has left over goes first.
  while ((await expireDue(db, { limit: 100 })).length > 0);
  const { sale_no, tenant, id } = await ledgerSale(db, { items: [{ sku: 'a', qty: 6 }], limit: 4 });
  const raw: Raw = {
    async over(order_id) {
      const text = `UPDATE orders SET expires_at = now() - interval '1 ms' WHERE id = $1`;
      await db.query({ text, values: [order_id] });
    },
    async tables() {
      const read = async (text: string) => (await db.query({ text, values: [sale_no] })).rows;
      return {
        skus: await read(
          'SELECT sku, total, reserved, sold, told_available, told_held FROM skus WHERE sale_no = $1',
        ),
        cursor: await read(
          'SELECT generation, seq, start_seq, applied_n, sealed_n, acked_n, gate_version_seen, loaded, fenced_reason FROM cursors WHERE sale_no = $1',
        ),
        orders: await read(
          'SELECT buyer, state, cause, actor, restock, extended, limit_units, seq FROM orders WHERE sale_no = $1 ORDER BY buyer',
        ),
        attempts: await read(
          'SELECT o.buyer, a.no, a.state, a.reversal_wanted, a.psp_ref, a.tries, a.key_no, a.refunded, a.erred_at IS NOT NULL AS erred FROM attempts a JOIN orders o ON o.id = a.order_id WHERE o.sale_no = $1 ORDER BY o.buyer, a.no',
        ),
        movements: await read(
          'SELECT sku, to_available, from_held, buyer_units, n, cause FROM movements WHERE sale_no = $1 ORDER BY id',
        ),
        events: await read(
          'SELECT o.buyer, e.from_state, e.to_state, e.cause, e.actor FROM order_events e JOIN orders o ON o.id = e.order_id WHERE o.sale_no = $1 ORDER BY o.buyer, e.id',
        ),
        refunds: await read(
          'SELECT o.buyer, r.amount, r.state, r.tries FROM refunds r JOIN orders o ON o.id = r.order_id WHERE o.sale_no = $1 ORDER BY o.buyer, r.key',
        ),
      };
    },
  };
  return { db, sale_no, tenant, id, raw, seq: 1 };
}

function simSide(): Side {
  const sim = createSimLedger({ now_ms: Date.now, uuid, statements: STATEMENTS, unnamed: UNNAMED });
  const sale: SaleRow = {
    ...{
      sale_no: 1,
      tenant: 'default',
      id: 'sale',
      route: randomBytes(6),
      salt: randomBytes(32),
      currency: 'USD',
    },
    ...{ opens_at: 0, closes_at: 0, hold_ms: 600_000, limit_per_buyer: 4, gate: 'open', gate_version: 1 },
    ...{ psp: null, capture: 'at_once' },
  };
  const cursor: CursorRow = {
    ...{
      sale_no: 1,
      epoch: 0,
      opened_epoch: 0,
      generation: 1,
      identity: '',
      seq: 0,
      digest: null,
      start_seq: 0,
    },
    ...{ chain: Buffer.alloc(0), applied_n: 0, sealed_n: 0, acked_n: 0, gate_version_seen: 0 },
    ...{ loaded: false, fenced_reason: null },
  };
  const sku: SkuRow = {
    ...{ sale_no: 1, sku: 'a', position: 0, name: 'A', unit_price: 1000, total: 6, reserved: 0, sold: 0 },
    ...{ told_available: 6, told_held: 0 },
  };
  const heart: HeartbeatRow = { up_since: 0, beat_at: Date.now(), period_ms: 2_000, grace_ms: 0 };
  sim.set((scope) => {
    scope.insert('sales', 1, sale);
    scope.insert('cursors', 1, cursor);
    scope.insert('skus', skuKey(1, 'a'), sku);
    scope.insert('heartbeat', 1, heart);
  });
  const raw: Raw = {
    async over(order_id) {
      const row = sim.row<object>('orders', order_id);
      if (row) sim.set((scope) => scope.put('orders', order_id, { ...row, expires_at: Date.now() - 1 }));
    },
    tables: async () => simTables(sim),
  };
  return { db: directPool(sim), sale_no: 1, tenant: 'default', id: 'sale', raw, seq: 1 };
}

type Named = Record<string, unknown>;
const pick = (row: Named, names: string) =>
  Object.fromEntries(names.split(' ').map((name) => [name, row[name]]));
const by =
  (...names: string[]) =>
  (a: Named, b: Named) =>
    names.map((name) => (a[name]! < b[name]! ? -1 : a[name]! > b[name]! ? 1 : 0)).find((d) => d !== 0) ?? 0;

function simTables(sim: SimLedger): unknown {
  const orders = new Map(sim.rows<Named>('orders').map((o) => [o.id, o.buyer]));
  const of = (table: string) =>
    sim.rows<Named>(table).map((row) => ({ ...row, buyer: orders.get(row.order_id) }) as Named);
  return {
    skus: sim.rows<Named>('skus').map((r) => pick(r, 'sku total reserved sold told_available told_held')),
    cursor: sim
      .rows<Named>('cursors')
      .map((r) =>
        pick(r, 'generation seq start_seq applied_n sealed_n acked_n gate_version_seen loaded fenced_reason'),
      ),
    orders: sim
      .rows<Named>('orders')
      .sort(by('buyer'))
      .map((r) => pick(r, 'buyer state cause actor restock extended limit_units seq')),
    attempts: of('attempts')
      .sort(by('buyer', 'no'))
      .map((r) => ({
        ...pick(r, 'buyer no state reversal_wanted psp_ref tries key_no refunded'),
        erred: r.erred_at !== null,
      })),
    movements: of('movements')
      .sort(by('id'))
      .map((r) => pick(r, 'sku to_available from_held buyer_units n cause')),
    events: of('order_events')
      .sort(by('buyer', 'id'))
      .map((r) => pick(r, 'buyer from_state to_state cause actor')),
    refunds: of('refunds')
      .sort(by('buyer', 'key'))
      .map((r) => pick(r, 'buyer amount state tries')),
  };
}

const uuid = () => {
  const hex = randomBytes(16).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
};
const idOf = (side: Side, no: number) => `${side.sale_no}-${side.id}-order${no}`;
const buyerOf = (no: number) => `buyer${no}`;

function entryOf(
  side: Side,
  c: Extract<Command, { do: 'ingest' | 'reduce' }>,
  told: SkuTold,
  applied_n: number,
): StreamEntry {
  const seq = side.seq + 1;
  const { qty } = c;
  const taken = Math.min(qty, Math.max(0, told.available));
  const stock = [
    {
      sku: 'a',
      available: Math.max(0, told.available - taken),
      held: told.held + (c.do === 'ingest' ? qty : 0),
    },
  ];
  const shared = { seq, at_ms: Date.now(), applied_n, stock, digest: hash16(`${seq}`) };
  if (c.do === 'reduce') {
    return {
      ...shared,
      verb: 'reduce',
      orders: [],
      reduce: { request_id: `r${seq}`, taken: [{ sku: 'a', qty: taken }] },
    };
  }
  const amounts = {
    currency: 'USD',
    subtotal: qty * 1000,
    discount: 0,
    shipping: 0,
    tax: 0,
    total: qty * 1000,
  };
  const buyer = buyerOf(c.order);
  const placed = {
    ...{ order_id: idOf(side, c.order), buyer, buyer_hash: hash16(buyer), fingerprint: hash16('f') },
    ...{ road: c.lock ? ('lock' as const) : ('checkout' as const), limit_units: qty, amounts },
    ...{ lines: [{ sku: 'a', qty, unit_price: 1000 }], shipping_address: null, contact: null },
    payment_method: c.lock ? null : { type: 'card' as const, token: 'pm' },
    ...{ reserved_at_ms: Date.now(), expires_at_ms: Date.now() + HOUR_MS },
  };
  return { ...shared, verb: 'reserve', orders: [placed] };
}

type SkuTold = { available: number; held: number };

async function toldOf(side: Side): Promise<SkuTold> {
  const { skus } = (await side.raw.tables()) as { skus: { told_available: number; told_held: number }[] };
  return { available: skus[0].told_available, held: skus[0].told_held };
}

/** What a verb answers, without names that differ; or how it failed. */
async function run(side: Side, c: Command): Promise<unknown> {
  const { db, sale_no, tenant } = side;
  const at =
    'order' in c
      ? { tenant, order_id: idOf(side, c.order), buyer: buyerOf(c.order) }
      : { tenant, order_id: '', buyer: '' };
  const none = async () => {};
  const attemptOf = async () => (await attemptsOfOrders(db, [at.order_id])).at(-1);
  await beat(db, { period_ms: 60_000, grace_ms: 0 });
  switch (c.do) {
    case 'ingest':
    case 'reduce': {
      const sale = await followedSale(db, sale_no);
      const entry = entryOf(side, c, await toldOf(side), sale.sealed_n);
      const plan = await writeChunk(db, {
        ...{ sale, entries: [{ ...entry, seq: sale.seq + 1 }], now_ms: Date.now(), grace_ms: 1_000 },
        enqueueAuthorize: none,
        expect_known: true,
      });
      side.seq = plan.seq;
      return [plan.rejected, plan.replayed, plan.fenced_reason, plan.movements.length];
    }
    case 'topup': {
      const request = { tenant, sale: side.id, key: `t${c.key}`, fingerprint: hash16(`${c.qty}`) };
      return topup(db, { ...request, items: [{ sku: 'a', qty: c.qty }] });
    }
    case 'gate': {
      const { kind, ...set } = await setGate(db, tenant, side.id, c.action);
      await recordReduce(db, { tenant, sale: side.id, key: 'taken', fingerprint: hash16('r') });
      return [kind, 'version' in set ? set.version : set];
    }
    case 'over':
      return side.raw.over(at.order_id);
    case 'expire':
      return (await expireDue(db, { limit: 10 })).length;
    case 'attempt': {
      const made = await withTransaction(db, (tx) =>
        recordAttempts(tx, [at.order_id], { psp: 'sim', look_again_ms: 0 }),
      );
      return made.map((a) => [a.state, a.made, a.payable, a.order_state, a.capture_wanted]);
    }
    case 'pay': {
      const method = { type: 'card' as const, token: 'pm' };
      const terms = { psp: 'sim', payment_method: method, extension_ms: 5_000, look_again_ms: 0 };
      return (await startPayment(db, { ...at, ...terms }, none)).kind;
    }
    case 'settle': {
      const attempt = await attemptOf();
      if (!attempt) return 'none';
      const { id } = attempt;
      const { state: now, final, key_no, answered } = c;
      const news = { id, state: now, final, key_no, answered, look_again_ms: 0, psp_ref: null };
      const done = await withTransaction(db, (tx) => settleAttempts(tx, [news]));
      const { attempts, ...moved } = done;
      return [
        attempts.map((a) => [a.state, a.reversal_wanted, a.order_state]),
        Object.values(moved).map((ids) => ids.length),
      ];
    }
    case 'reference': {
      const attempt = await attemptOf();
      return (
        attempt &&
        (await withTransaction(db, (tx) => storeReferences(tx, [{ id: attempt.id, psp_ref: c.name }]))).size
      );
    }
    case 'claim':
      // Other sales' attempts lie in the same real table.
      return (await claimAttempts(db, { limit: 1_000, lease_ms: 0 }))
        .filter((a) => a.order_id.startsWith(`${sale_no}-${side.id}-`))
        .map((a) => [a.state, a.order_state])
        .sort();
    case 'confirm': {
      const { kind } = await confirmOrder(db, at, none);
      return kind;
    }
    case 'cancel':
      return cancelOrder(db, at);
    case 'ship':
      return recordShipment(db, { tenant, order_id: at.order_id, actor: 'me' }, none);
    case 'refund': {
      const request = {
        tenant,
        order_id: at.order_id,
        key: `refund${c.key}`,
        fingerprint: hash16(`${c.order} ${c.part}`),
        actor: 'me',
      };
      const how = { reason: null, restock: false, ...(c.part ? { amount: 300 } : {}) };
      return (await refundOrder(db, { ...request, ...how }, { reverse: none, refund: none })).kind;
    }
    case 'refunded': {
      for (const id of await claimRefunds(db, { limit: 100, lease_ms: 0 })) {
        const found = await findRefund(db, id);
        if (!found?.refund.order_id.startsWith(`${sale_no}-${side.id}-`)) continue;
        const given = c.done ? { given_back: found.attempt.refunded + found.refund.amount } : {};
        const news = {
          state: c.done ? ('done' as const) : ('refused' as const),
          key_no: 1,
          look_again_ms: 0,
          ...given,
        };
        await settleRefund(db, found.refund, news);
      }
      return 'settled';
    }
    case 'return': {
      const request = {
        tenant,
        order_id: at.order_id,
        key: `return${c.order}`,
        fingerprint: hash16('r'),
        actor: 'me',
      };
      return (await returnOrder(db, { ...request, reason: null, restock: c.restock }, none)).kind;
    }
    case 'seal': {
      const sealed = await sealBatch(db, sale_no);
      const { sealed_n, epoch } = await followedSale(db, sale_no);
      const batch = await readBatch(db, sale_no, sealed_n);
      if (c.ack) await ackBatch(db, sale_no, { n: sealed_n, epoch });
      const work = (await releaseWork(db)).includes(sale_no);
      return [sealed, batch, work];
    }
    case 'open': {
      const sale = await followedSale(db, sale_no);
      const seen = {
        epoch: sale.epoch - (c.stale ? 1 : 0),
        record_epoch: sale.epoch,
        identity: 'x',
        applied_n: sale.acked_n,
      };
      const issued = await issueEpoch(db, sale_no, seen);
      if (issued) await markOpened(db, sale_no, issued.epoch, ['no_record']);
      return issued && [issued.gate, issued.gate_version];
    }
    case 'fence': {
      const { epoch } = await followedSale(db, sale_no);
      return setFenced(db, sale_no, { reason: c.reason, epoch: epoch - (c.stale ? 1 : 0) }, ['no_record']);
    }
    case 'rebuild':
      return rebuild(side, c.finish);
  }
}

async function rebuild({ db, sale_no }: Side, finish: boolean): Promise<unknown> {
  const sale = await followedSale(db, sale_no);
  const begun = await beginRebuild(
    db,
    sale_no,
    { reason: 'operator', actor: 'me' },
    { epoch: sale.epoch, record_epoch: 0 },
  );
  if (!begun) return 'late';
  const seen = { id: begun.id, epoch: begun.epoch, record_seq: sale.seq, record_generation: sale.generation };
  return withSealedSale(db, sale_no, seen, async (sealed, snapshot) => {
    const { n, movements, generation, start_seq, gate_version, skus } = sealed;
    const orders: unknown[] = [];
    for await (const piece of readOrders(snapshot, sale_no, 0, 100))
      for (const { hashes, hold_ms, answer } of piece) orders.push([hashes, hold_ms, answer]);
    const buyers: unknown[] = [];
    for await (const piece of readBuyers(snapshot, sale_no, 100))
      for (const { buyer_hash, units } of piece) buyers.push(`${buyer_hash.toString('hex')} ${units}`);
    const done =
      finish && (await finishRebuild(db, sale_no, { id: begun.id, epoch: sealed.epoch }, ['no_record']));
    const counters = skus.map(({ sku, available, held }) => [sku, available, held]);
    return [
      begun.attempts,
      n,
      movements,
      generation,
      start_seq,
      gate_version,
      counters,
      orders,
      buyers.sort(),
      done,
    ];
  });
}

const failed = (error: unknown) => {
  const { code, constraint, name } = error as { code?: string; constraint?: string; name?: string };
  return { failed: constraint ?? code ?? name };
};

test(`the same answers and the same tables (${RUNS} sequences)`, { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 25 }), async (commands) => {
      const sides = [await realSide(), simSide()];
      for (const side of sides)
        await markLoaded(side.db, side.sale_no, { epoch: 1, gate_version: 1, gate: 'open' });
      for (const c of commands) {
        const [theirs, ours] = [await run(sides[0], c).catch(failed), await run(sides[1], c).catch(failed)];
        expect(ours).toEqual(theirs);
        expect(await sides[1].raw.tables()).toEqual(await sides[0].raw.tables());
      }
    }),
    { numRuns: RUNS },
  );
});
