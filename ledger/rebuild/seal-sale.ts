/**
 * The moment from which a sale is rebuilt. Everything that changes stock, the orders' states and the purchase limits
 * of a sale locks rows of its stock, so while all of them are locked here nothing of that can commit. In that time
 *
 * - the movements that are visible, all of them, become batch N: what they give back is in the counters already;
 * - the cursor goes to the next generation and a new epoch, with N applied and acknowledged, where the sequence stands;
 * - a snapshot is opened on a second connection, which therefore reads the very state that was sealed.
 *
 * Then it commits, before anything is staged, and the snapshot is read as long as that takes, with nothing locked. A
 * movement that commits later is in neither: it waits for batch N + 1.
 *
 * The seal lock is a statement of its own before the transaction, as in seal-batch. Locks are taken in the order in
 * which ingest takes them: stock, then cursor.
 *
 * LOCK, UNLOCK: $1 key   STOCK, MARK_N: $1 sale_no
 * MARK: $1 sale_no  $2 n
 * TOLD: $1 sale_no
 * TURN: $1 sale_no  $2 epoch  $3 n  $4 the record's sequence  $5 the record's generation (0: no record)
 */
import type pg from 'pg';
import {
  changes,
  type Pool,
  type Queryable,
  rows,
  transaction,
  withConnection,
} from '../../platform/postgres.ts';
import { lockKey } from '../locks.ts';
import { CursorMoved } from '../stream/move-cursor.ts';

const LOCK = { name: 'seal_lock', text: 'SELECT pg_advisory_lock($1::bigint)' };
const UNLOCK = { name: 'seal_unlock', text: 'SELECT pg_advisory_unlock($1::bigint)' };

const LOCK_STOCK = {
  name: 'rebuild_lock_stock',
  text: 'SELECT FROM skus WHERE sale_no = $1 ORDER BY sale_no, sku FOR NO KEY UPDATE',
};

const LOCK_CURSOR = {
  name: 'rebuild_lock_cursor',
  text: 'SELECT sealed_n FROM cursors WHERE sale_no = $1 AND epoch = $2 FOR NO KEY UPDATE',
};

const MARK = {
  name: 'rebuild_mark',
  text: 'UPDATE movements SET n = $2 WHERE sale_no = $1 AND n IS NULL',
};

const TOLD = {
  name: 'rebuild_told',
  text: `
    UPDATE skus SET told_available = total - reserved - sold, told_held = reserved
    WHERE sale_no = $1
    RETURNING sku, position, name, unit_price, told_available AS available, told_held AS held`,
};

const TURN = {
  name: 'rebuild_turn',
  text: `
    UPDATE cursors c SET
      epoch = greatest(c.epoch, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) + 1,
      generation = greatest(c.generation, $5) + 1,
      seq = greatest(c.seq, $4), start_seq = greatest(c.seq, $4),
      sealed_n = $3, acked_n = $3, applied_n = $3, gate_version_seen = 0, updated_at = now()
    FROM sales s
    WHERE c.sale_no = $1 AND c.epoch = $2 AND s.sale_no = c.sale_no
    RETURNING c.epoch, c.generation, c.seq AS start_seq, s.gate, s.gate_version`,
};

const NOTE_TURN = {
  name: 'rebuild_note_turn',
  text: `
    UPDATE rebuilds SET phase = 'staging', epoch = $3, generation = $4, start_seq = $5,
      movements_sealed = movements_sealed + $6
    WHERE id = $1 AND epoch = $2 AND finished_at IS NULL`,
};

export type SealedSku = {
  sku: string;
  position: number;
  name: string;
  unit_price: number;
  available: number;
  held: number;
};

export type SealedSale = {
  /** Batch N: this and everything before counts as applied. */
  n: number;
  movements: number;
  epoch: number;
  generation: number;
  /** The sequence goes on after this. */
  start_seq: number;
  gate: 'scheduled' | 'open' | 'paused' | 'closed';
  gate_version: number;
  skus: SealedSku[];
};

/** Statements here may have a backlog to go through. */
const PATIENCE_MS = 120_000;
/** A session that reads a snapshot waits for Redis between two statements. */
const IDLE_MS = 60_000;
/** Enough to add up the units of a million buyers without a file. */
const READ_MEMORY_MB = 128;

/**
 * Seals, commits, and gives `work` the sealed state and a connection that reads in its snapshot. Throws CursorMoved
 * when the epoch is not the ledger's any more.
 */
export function withSealedSale<T>(
  pool: Pool,
  saleNo: number,
  seen: { id: number; epoch: number; record_seq: number; record_generation: number },
  work: (sealed: SealedSale, snapshot: Queryable) => Promise<T>,
): Promise<T> {
  return withConnection(pool, async (reader) => {
    await reader.query(`SET statement_timeout = ${PATIENCE_MS}`);
    await reader.query(`SET idle_in_transaction_session_timeout = ${IDLE_MS}`);
    await reader.query(`SET work_mem = '${READ_MEMORY_MB}MB'`);
    try {
      const sealed = await withConnection(pool, (client) => seal(client, reader, saleNo, seen));
      return await work(sealed, reader);
    } finally {
      await reader.query('ROLLBACK');
      await reader.query('RESET statement_timeout');
      await reader.query('RESET idle_in_transaction_session_timeout');
      await reader.query('RESET work_mem');
    }
  });
}

async function seal(
  client: pg.PoolClient,
  reader: pg.PoolClient,
  saleNo: number,
  seen: { id: number; epoch: number; record_seq: number; record_generation: number },
): Promise<SealedSale> {
  const key = lockKey('seal', saleNo);
  await rows(client, LOCK, [key]);
  try {
    return await transaction(client, async () => {
      await client.query(`SET LOCAL statement_timeout = ${PATIENCE_MS}`);
      await rows(client, LOCK_STOCK, [saleNo]);
      const [cursor] = await rows<{ sealed_n: number }>(client, LOCK_CURSOR, [saleNo, seen.epoch]);
      if (!cursor) throw new CursorMoved(saleNo);
      const movements = await changes(client, MARK, [saleNo, cursor.sealed_n + 1]);
      const n = cursor.sealed_n + (movements > 0 ? 1 : 0);
      const skus = await rows<SealedSku>(client, TOLD, [saleNo]);
      const [turned] = await rows<Omit<SealedSale, 'n' | 'movements' | 'skus'>>(client, TURN, [
        saleNo,
        seen.epoch,
        n,
        seen.record_seq,
        seen.record_generation,
      ]);
      if (!turned) throw new CursorMoved(saleNo);
      const noted = await changes(client, NOTE_TURN, [
        seen.id,
        seen.epoch,
        turned.epoch,
        turned.generation,
        turned.start_seq,
        movements,
      ]);
      if (noted !== 1) throw new CursorMoved(saleNo);
      await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      // The first statement takes the snapshot, while the stock is locked.
      await reader.query('SELECT FROM heartbeat');
      skus.sort((a, b) => a.position - b.position);
      return { n, movements, skus, ...turned };
    });
  } finally {
    await rows(client, UNLOCK, [key]);
  }
}
