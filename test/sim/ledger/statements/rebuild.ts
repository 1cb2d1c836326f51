/** Statements of ledger/rebuild. Names and parameters are theirs. */
import type {
  CursorRow,
  ItemsRow,
  MovementRow,
  OrderRow,
  RebuildLedgerRow,
  RequestRow,
  SaleRow,
  SkuRow,
} from '../rows.ts';
import type { Statement } from '../server.ts';
import { type Scope, sqlError } from '../store.ts';
import { byText, isHeld, putSku, skuKey } from './parts.ts';

const open = (scope: Scope, sale_no: number) =>
  scope.all<RebuildLedgerRow>('rebuilds').find((r) => r.sale_no === sale_no && r.finished_at === null);

function change(
  scope: Scope,
  id: number,
  epoch: number,
  made: (r: RebuildLedgerRow) => Partial<RebuildLedgerRow>,
) {
  const fits = (r: RebuildLedgerRow | undefined) => r?.epoch === epoch && r.finished_at === null;
  if (!fits(scope.get('rebuilds', id)) || !scope.lock('rebuilds', id)) return 0;
  const row = scope.get<RebuildLedgerRow>('rebuilds', id);
  if (!row || !fits(row)) return 0;
  scope.put('rebuilds', id, { ...row, ...made(row) });
  return 1;
}

function lockedCursor(scope: Scope, sale_no: number, epoch: number): CursorRow | undefined {
  const fits = (c: CursorRow | undefined) => c?.epoch === epoch;
  if (!fits(scope.get('cursors', sale_no)) || !scope.lock('cursors', sale_no)) return undefined;
  const cursor = scope.get<CursorRow>('cursors', sale_no);
  return fits(cursor) ? cursor : undefined;
}

const skusOf = (scope: Scope, sale_no: number) =>
  scope
    .all<SkuRow>('skus')
    .filter((row) => row.sale_no === sale_no)
    .sort((a, b) => byText(a.sku, b.sku));

const ordersOf = (scope: Scope, sale_no: number, since_ms = 0) =>
  scope.all<OrderRow>('orders').filter((o) => o.sale_no === sale_no && o.reserved_at >= since_ms);

export const rebuildStatements: Record<string, Statement> = {
  rebuilds_wanted: (scope) =>
    scope
      .all<RebuildLedgerRow>('rebuilds')
      .filter((r) => r.finished_at === null && r.phase === 'wanted')
      .map(({ sale_no }) => ({ sale_no })),
  rebuild_want: (scope, [sale_no, reason, actor]: readonly [number, string, string]) => {
    // One open at a time: the row of the sale stands for the unique index.
    scope.insert('rebuild_index', sale_no, { sale_no });
    scope.lock('rebuild_index', sale_no);
    if (open(scope, sale_no)) return [];
    const id = scope.sequence('rebuilds');
    const row: RebuildLedgerRow = {
      ...{ id, sale_no, reason, actor, phase: 'wanted', attempts: 0, epoch: null, generation: null },
      ...{ from_generation: null, finished_at: null },
    };
    scope.insert('rebuilds', id, row);
    return [{ id }];
  },
  rebuild_epoch: (scope, [sale_no, seen, record]: readonly number[]) => {
    const cursor = lockedCursor(scope, sale_no, seen);
    if (!cursor) return [];
    const epoch = Math.max(cursor.epoch, record, Math.round(scope.clock_ms())) + 1;
    scope.put('cursors', sale_no, { ...cursor, epoch });
    return [{ epoch, generation: cursor.generation }];
  },
  rebuild_begin: (scope, [sale_no, epoch, generation]: readonly number[]) => {
    const row = open(scope, sale_no);
    if (!row || !scope.lock('rebuilds', row.id)) return [];
    const from_generation = Math.min(row.from_generation ?? generation, generation);
    const attempts = row.attempts + 1;
    scope.put('rebuilds', row.id, { ...row, phase: 'draining', attempts, epoch, from_generation });
    return [{ id: row.id, attempts, reason: row.reason, from_generation }];
  },
  rebuild_note: (scope, [id, epoch, phase]: readonly [number, number, string]) =>
    change(scope, id, epoch, () => ({ phase })),
  rebuild_drained: (scope, [id, epoch]: readonly number[]) => change(scope, id, epoch, () => ({})),
  rebuild_failed: (scope, [id, epoch]: readonly number[]) => change(scope, id, epoch, () => ({})),
  rebuild_done: (scope, [id, epoch]: readonly number[]) =>
    change(scope, id, epoch, () => ({ phase: 'done', finished_at: scope.now_ms })),
  rebuild_healed: (scope, [sale_no, epoch, reasons]: readonly [number, number, string[]]) => {
    const cursor = lockedCursor(scope, sale_no, epoch);
    if (!cursor?.fenced_reason || !reasons.includes(cursor.fenced_reason)) return 0;
    scope.put('cursors', sale_no, { ...cursor, fenced_reason: null });
    return 1;
  },
  rebuild_lock_stock: (scope, [sale_no]: readonly number[]) => {
    const rows = skusOf(scope, sale_no);
    for (const { sku } of rows) scope.lock('skus', skuKey(sale_no, sku));
    return rows.map(() => ({}));
  },
  rebuild_lock_cursor: (scope, [sale_no, epoch]: readonly number[]) => {
    const cursor = lockedCursor(scope, sale_no, epoch);
    return cursor ? [{ sealed_n: cursor.sealed_n }] : [];
  },
  rebuild_mark: (scope, [sale_no, n]: readonly number[]) => {
    const all = scope.all<MovementRow>('movements').filter((m) => m.sale_no === sale_no && m.n === null);
    for (const movement of all) {
      scope.lock('movements', movement.id);
      scope.put('movements', movement.id, { ...movement, n });
    }
    return all.length;
  },
  rebuild_told: (scope, [sale_no]: readonly number[]) =>
    skusOf(scope, sale_no).map((row) => {
      scope.lock('skus', skuKey(sale_no, row.sku));
      const available = row.total - row.reserved - row.sold;
      putSku(scope, { ...row, told_available: available, told_held: row.reserved });
      const { sku, position, name, unit_price } = row;
      return { sku, position, name, unit_price, available, held: row.reserved };
    }),
  rebuild_turn: (scope, [sale_no, seen, n, record_seq, record_generation]: readonly number[]) => {
    const cursor = lockedCursor(scope, sale_no, seen);
    const sale = scope.get<SaleRow>('sales', sale_no);
    if (!cursor || !sale) return [];
    const epoch = Math.max(cursor.epoch, Math.round(scope.clock_ms())) + 1;
    const generation = Math.max(cursor.generation, record_generation) + 1;
    const seq = Math.max(cursor.seq, record_seq);
    scope.put('cursors', sale_no, {
      ...{ ...cursor, epoch, generation, seq, start_seq: seq },
      ...{ sealed_n: n, acked_n: n, applied_n: n, gate_version_seen: 0 },
    });
    return [{ epoch, generation, start_seq: seq, gate: sale.gate, gate_version: sale.gate_version }];
  },
  rebuild_note_turn: (scope, [id, seen, epoch, generation]: readonly number[]) =>
    change(scope, id, seen, () => ({ phase: 'staging', epoch, generation })),
  rebuild_count: (scope, [sale_no, since_ms]: readonly number[]) => [
    { orders: ordersOf(scope, sale_no, since_ms).length },
  ],
  rebuild_reduces: (scope, [sale_no]: readonly number[]) =>
    scope
      .all<RequestRow>('operator_requests')
      .filter((r) => r.sale_no === sale_no && r.kind === 'reduce' && r.answer !== null)
      .map(({ key, fingerprint, answer, created_at }) => ({
        key,
        fingerprint,
        answer,
        created_at_ms: created_at,
      })),
};

function buyers(scope: Scope, sale_no: number): object[] {
  const units = new Map<string, { buyer_hash: Buffer; units: number }>();
  for (const order of ordersOf(scope, sale_no)) {
    const kept =
      isHeld(order.state) ||
      ['confirmed', 'shipped', 'delivered'].includes(order.state) ||
      (order.state === 'refunded' && !order.restock);
    if (order.limit_units === 0 || !kept) continue;
    const name = order.buyer_hash.toString('latin1');
    const sum = units.get(name) ?? { buyer_hash: order.buyer_hash, units: 0 };
    sum.units += order.limit_units;
    units.set(name, sum);
  }
  return [...units.values()];
}

function orders(scope: Scope, sale_no: number, since_ms: number): object[] {
  const found = ordersOf(scope, sale_no, since_ms).sort((a, b) => a.seq - b.seq || byText(a.id, b.id));
  return found.map((order) => {
    const { id, fingerprint, buyer_hash, road, discount, shipping, tax, reserved_at } = order;
    const items = scope.get<ItemsRow>('order_items', id)?.items ?? [];
    const lines = items.map(({ sku, qty, unit_price }) => `${sku} ${qty} ${unit_price}`);
    return {
      ...{ id, reserved_at_ms: reserved_at, hold_ms: order.first_expires_at - reserved_at },
      hashes: Buffer.concat([fingerprint, buyer_hash]).toString('hex'),
      answer: [road, discount, shipping, tax, ...lines].join(' '),
    };
  });
}

type Cursors = Map<string, object[]>;
const cursorsOf = (scope: Scope): Cursors => {
  const tx = scope.tx as typeof scope.tx & { cursors?: Cursors };
  tx.cursors ??= new Map();
  return tx.cursors;
};

const declare =
  (name: string, read: (scope: Scope, values: readonly number[]) => object[]): Statement =>
  (scope, values: readonly number[]) => {
    cursorsOf(scope).set(name, read(scope, values));
    return [];
  };

const fetch =
  (name: string): Statement =>
  (scope) => {
    const rows = cursorsOf(scope).get(name);
    if (!rows) throw sqlError('34000', `cursor "${name}" does not exist`);
    return rows.splice(0);
  };

export const unnamedRebuildStatements: readonly (readonly [part: string, run: Statement])[] = [
  ['DECLARE rebuild_buyers', declare('rebuild_buyers', (scope, [sale_no]) => buyers(scope, sale_no))],
  [
    'DECLARE rebuild_orders',
    declare('rebuild_orders', (scope, [sale_no, since]) => orders(scope, sale_no, since)),
  ],
  ['FROM rebuild_buyers', fetch('rebuild_buyers')],
  ['FROM rebuild_orders', fetch('rebuild_orders')],
  ['CLOSE ', () => []],
  ['SELECT FROM heartbeat', () => [{}]],
];
