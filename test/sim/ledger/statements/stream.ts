/** Statements of ledger/stream, ledger/movements and ledger/heartbeat.ts. Names and parameters are theirs. */
import type { NewOrder } from '../../../../ledger/stream/insert-orders.ts';
import type {
  CursorRow,
  HeartbeatRow,
  ItemRow,
  MovementRow,
  OrderRow,
  RebuildLedgerRow,
  SaleRow,
  SkuRow,
} from '../rows.ts';
import type { Statement } from '../server.ts';
import { type Scope, sqlError } from '../store.ts';
import { addEvent, addMovement, byText, isHeld, putSku, skuKey } from './parts.ts';

function followed(scope: Scope, sale: SaleRow): object[] {
  const cursor = scope.get<CursorRow>('cursors', sale.sale_no);
  if (!cursor) return [];
  const { sale_no, tenant, id, route, salt, currency, hold_ms, limit_per_buyer, gate, gate_version } = sale;
  return [
    {
      ...{ sale_no, tenant, sale: id, route, salt, currency, hold_ms, limit_per_buyer, gate, gate_version },
      ...{ opens_at_ms: sale.opens_at, closes_at_ms: sale.closes_at },
      ...cursor,
      ...rebuildOf(scope, sale_no),
    },
  ];
}

function rebuildOf(scope: Scope, sale_no: number) {
  const open = scope
    .all<RebuildLedgerRow>('rebuilds')
    .find((row) => row.sale_no === sale_no && row.finished_at === null);
  return {
    rebuild: open?.id ?? null,
    rebuild_from_generation: open?.from_generation ?? null,
    rebuild_generation: open?.generation ?? null,
  };
}

const allSales = (scope: Scope) => scope.all<SaleRow>('sales').sort((a, b) => a.sale_no - b.sale_no);

function moveCursor(
  scope: Scope,
  sale_no: number,
  when: (c: CursorRow) => boolean,
  change: (c: CursorRow) => object,
) {
  const seen = scope.get<CursorRow>('cursors', sale_no);
  if (!seen || !when(seen) || !scope.lock('cursors', sale_no)) return 0;
  const cursor = scope.get<CursorRow>('cursors', sale_no);
  if (!cursor || !when(cursor)) return 0;
  const after = { ...cursor, ...change(cursor) } as CursorRow;
  if (
    after.opened_epoch > after.epoch ||
    after.acked_n > after.sealed_n ||
    after.applied_n > after.sealed_n
  ) {
    throw sqlError('23514', `cursor of sale ${sale_no}`, 'cursors_check');
  }
  scope.put('cursors', sale_no, after);
  return 1;
}

function stockRows(scope: Scope, sale_no: number, skus: readonly string[]): SkuRow[] {
  return [...new Set(skus)].sort(byText).flatMap((sku) => {
    const row = scope.get<SkuRow>('skus', skuKey(sale_no, sku));
    return row ? [row] : [];
  });
}

const stream: Record<string, Statement> = {
  followed_sales: (scope) => allSales(scope).flatMap((sale) => followed(scope, sale)),
  followed_sale: (scope, [no]: readonly number[]) => {
    const sale = scope.get<SaleRow>('sales', no);
    return sale ? followed(scope, sale) : [];
  },
  find_sale: (scope, [tenant, id]: readonly string[]) =>
    allSales(scope)
      .filter((sale) => sale.tenant === tenant && sale.id === id)
      .flatMap((sale) => followed(scope, sale)),
  new_sales: (scope, [known]: readonly (readonly number[])[]) =>
    allSales(scope)
      .filter(({ sale_no }) => !known.includes(sale_no))
      .map(({ sale_no }) => ({ sale_no })),
  load_rows: (scope, [no]: readonly number[]) =>
    scope
      .all<SkuRow>('skus')
      .filter((row) => row.sale_no === no)
      .sort((a, b) => a.position - b.position)
      .map(({ sku, position, name, unit_price, told_available: qty }) => ({
        sku,
        position,
        name,
        unit_price,
        qty,
      })),
  mark_loaded: (scope, [no, epoch, version, gate]: readonly number[]) => {
    const marked = moveCursor(
      scope,
      no,
      (c) => !c.loaded,
      (c) => ({
        ...{ loaded: true, epoch: Math.max(c.epoch, epoch), opened_epoch: epoch, gate_version_seen: version },
      }),
    );
    if (marked) scope.insert('sale_gates', `${no}/0`, { seq: 0, gate });
    return marked;
  },
  issue_epoch: (scope, [no, seen, record, identity, applied_n]: readonly number[]) => {
    const changed = moveCursor(
      scope,
      no,
      (c) => c.epoch === seen && c.acked_n <= applied_n && rebuildOf(scope, no).rebuild === null,
      (c) => ({
        epoch: Math.max(c.epoch, record, Math.round(scope.clock_ms())) + 1,
        opened_epoch: Math.min(record, c.epoch),
        identity: identity as unknown,
      }),
    );
    if (!changed) return [];
    const { gate, gate_version } = scope.get<SaleRow>('sales', no) as SaleRow;
    return [{ epoch: scope.get<CursorRow>('cursors', no)?.epoch, gate, gate_version }];
  },
  mark_opened: (scope, [no, epoch, over]: readonly [number, number, string[]]) =>
    moveCursor(
      scope,
      no,
      (c) => c.epoch === epoch,
      (c) => ({
        opened_epoch: epoch,
        fenced_reason: c.fenced_reason !== null && over.includes(c.fenced_reason) ? null : c.fenced_reason,
      }),
    ),
  move_cursor: (scope, values: readonly unknown[]) => {
    const [no, epoch, from, seq, digest, chain, applied_n, gate_version, reason] = values as [
      ...[number, number, number, number, Buffer, Buffer, number, number | null, string | null],
    ];
    return moveCursor(
      scope,
      no,
      (c) => c.epoch === epoch && c.seq === from,
      (c) => ({
        ...{ seq, digest, chain, applied_n, fenced_reason: c.fenced_reason ?? reason },
        gate_version_seen: Math.max(c.gate_version_seen, gate_version ?? 0),
      }),
    );
  },
  set_fenced: (scope, [no, reason, replaces, epoch]: readonly [number, string, string[], number]) =>
    moveCursor(
      scope,
      no,
      (c) =>
        c.epoch === epoch &&
        (c.fenced_reason === null || (c.fenced_reason !== reason && replaces.includes(c.fenced_reason))),
      () => ({ fenced_reason: reason }),
    ),
  known_orders: (scope, [ids]: readonly (readonly string[])[]) =>
    ids.filter((id) => scope.get('orders', id)).map((id) => ({ id })),
  read_stock: (scope, [no, skus]: readonly [number, string[]]) => stockRows(scope, no, skus),
  lock_stock: (scope, [no, skus]: readonly [number, string[]]) => {
    for (const { sku } of stockRows(scope, no, skus)) scope.lock('skus', skuKey(no, sku));
    return stockRows(scope, no, skus);
  },
  transaction_clock: (scope) => [{ now_us: scope.now_ms * 1_000 }],
  insert_orders: (scope, values: readonly unknown[]) => {
    const [sale, now_ms, orders] = values as [
      Pick<SaleRow, 'sale_no' | 'tenant' | 'currency'>,
      number,
      NewOrder[],
    ];
    for (const made of [...orders].sort((a, b) => byText(a.order_id, b.order_id))) {
      const { order_id: id, buyer, buyer_hash, fingerprint, state, road, limit_units, seq, cause } = made;
      const { discount, shipping, tax, total } = made.amounts;
      const order: OrderRow = {
        ...{ id, sale_no: sale.sale_no, tenant: sale.tenant, buyer, buyer_hash, fingerprint, state, road },
        ...{ currency: sale.currency, discount, shipping, tax, total },
        ...{ reserved_at: made.reserved_at_ms, first_expires_at: made.expires_at_ms },
        ...{ expires_at: now_ms + Math.ceil(made.left_ms), extended: false, limit_units, seq, cause },
        ...{ updated_at: scope.now_ms, restock: false, actor: state === 'reserved' ? 'buyer' : 'reconciler' },
        ...{ payment_method: made.payment_method, contact: made.contact },
      };
      if (!scope.insert('orders', id, order)) throw sqlError('23505', `order ${id} is there`, 'orders_pkey');
      addEvent(scope, { order_id: id, from_state: null, to_state: state, cause, actor: order.actor });
    }
    return orders.length;
  },
  insert_order_items: (scope, [orders]: readonly [readonly NewOrder[]]) => {
    for (const { order_id, lines } of orders) {
      const items: ItemRow[] = lines.map((line, i) => ({ line: i + 1, ...line }));
      scope.insert('order_items', order_id, { order_id, items });
    }
    return orders.reduce((sum, { lines }) => sum + lines.length, 0);
  },
  insert_movements: (scope, values: readonly unknown[]) => {
    const [sale_no, ids, skus, available, held, hashes, units, causes] = values as [
      ...[number, (string | null)[], string[], number[], number[], (Buffer | null)[], number[], string[]],
    ];
    ids.forEach((order_id, i) => {
      addMovement(scope, {
        ...{ sale_no, order_id, sku: skus[i], to_available: available[i], from_held: held[i] },
        ...{ buyer_hash: hashes[i], buyer_units: units[i], cause: causes[i] },
      });
    });
    return ids.length;
  },
  insert_gates: (scope, values: readonly unknown[]) => {
    const [no, seqs, gates] = values as [number, number[], string[]];
    seqs.forEach((seq, i) => {
      scope.insert('sale_gates', `${no}/${seq}`, { seq, gate: gates[i] });
    });
    return seqs.length;
  },
  update_stock: (scope, values: readonly unknown[]) => {
    const [no, skus, reserved, taken, available, held] = values as [
      ...[number, string[], number[], number[], (number | null)[], (number | null)[]],
    ];
    skus.forEach((sku, i) => {
      const key = skuKey(no, sku);
      if (!scope.lock('skus', key)) return;
      const row = scope.get<SkuRow>('skus', key);
      if (!row) return;
      putSku(scope, {
        ...row,
        reserved: row.reserved + reserved[i],
        total: row.total - taken[i],
        told_available: available[i] ?? row.told_available,
        told_held: held[i] ?? row.told_held,
      });
    });
    return skus.length;
  },
};

const unsealed = (scope: Scope, sale_no: number) =>
  scope.all<MovementRow>('movements').filter((m) => m.sale_no === sale_no && m.n === null);
const sealed = (scope: Scope, sale_no: number, n: number) =>
  scope.all<MovementRow>('movements').filter((m) => m.sale_no === sale_no && m.n === n);

const movements: Record<string, Statement> = {
  release_work: (scope) =>
    scope
      .all<CursorRow>('cursors')
      .filter((c) => {
        const version = scope.get<SaleRow>('sales', c.sale_no)?.gate_version ?? 0;
        const work =
          c.sealed_n > c.acked_n || version > c.gate_version_seen || unsealed(scope, c.sale_no).length > 0;
        return c.loaded && c.fenced_reason === null && work;
      })
      .map(({ sale_no }) => ({ sale_no })),
  batch_items: (scope, [no, n]: readonly number[]) => {
    const sums = new Map<string, { sku: string; to_available: number; from_held: number }>();
    for (const m of sealed(scope, no, n)) {
      const sum = sums.get(m.sku) ?? { sku: m.sku, to_available: 0, from_held: 0 };
      sum.to_available += m.to_available;
      sum.from_held += m.from_held;
      sums.set(m.sku, sum);
    }
    return [...sums.values()].sort((a, b) => byText(a.sku, b.sku));
  },
  batch_buyers: (scope, [no, n]: readonly number[]) => {
    const sums = new Map<string, { buyer_hash: Buffer; units: number }>();
    for (const m of sealed(scope, no, n)) {
      if (m.buyer_units === 0 || !m.buyer_hash) continue;
      const name = m.buyer_hash.toString('latin1');
      const sum = sums.get(name) ?? { buyer_hash: m.buyer_hash, units: 0 };
      sum.units += m.buyer_units;
      sums.set(name, sum);
    }
    return [...sums.values()].sort((a, b) => Buffer.compare(a.buyer_hash, b.buyer_hash));
  },
  earliest_hold: (scope, [no]: readonly number[]) => {
    const ends = scope
      .all<OrderRow>('orders')
      .filter((o) => o.sale_no === no && isHeld(o.state))
      .map((o) => o.expires_at);
    return [{ in_ms: ends.length === 0 ? null : Math.round(Math.min(...ends) - scope.now_ms) }];
  },
  ack_batch: (scope, [no, n, epoch]: readonly number[]) =>
    moveCursor(
      scope,
      no,
      (c) => c.sealed_n === n && c.acked_n === n - 1 && c.epoch === epoch,
      () => ({ acked_n: n }),
    ),
  next_batch: (scope, [no]: readonly number[]) => {
    const cursor = scope.get<CursorRow>('cursors', no);
    return cursor?.loaded && cursor.sealed_n === cursor.acked_n ? [{ n: cursor.sealed_n + 1 }] : [];
  },
  mark_batch: (scope, [no, n, most]: readonly number[]) => {
    const taken = unsealed(scope, no)
      .sort((a, b) => a.id - b.id)
      .slice(0, most);
    for (const movement of taken) {
      scope.lock('movements', movement.id);
      scope.put('movements', movement.id, { ...movement, n });
    }
    return taken.length;
  },
  seal_batch: (scope, [no, n]: readonly number[]) =>
    moveCursor(
      scope,
      no,
      (c) => c.sealed_n === n - 1 && c.acked_n === n - 1,
      () => ({ sealed_n: n }),
    ),
  beat: (scope, [period_ms, grace_ms]: readonly number[]) => {
    scope.lock('heartbeat', 1);
    const row = scope.get<HeartbeatRow>('heartbeat', 1);
    if (!row) return 0;
    const now = scope.clock_ms();
    const first = row.beat_at === Number.NEGATIVE_INFINITY;
    const up = first || row.beat_at >= now - 2 * period_ms ? row.up_since : now;
    // A clock that was ahead, and is set back.
    const up_since = Math.min(up, now);
    scope.put('heartbeat', 1, { up_since, beat_at: now, period_ms, grace_ms });
    scope.tx.changed = false;
    return 1;
  },
};

export const streamStatements = { ...stream, ...movements };
