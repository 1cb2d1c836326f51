/**
 * Tables in memory with what the ledger's verbs rely on in Postgres at READ COMMITTED: a statement sees what was
 * committed when it began, and its own transaction's changes; who changes or locks a row keeps others from it until the
 * transaction ends; a statement that fails leaves nothing; what commits, commits as a whole.
 *
 * Values are never changed in place. A statement that has to wait is undone and runs again when the row is free: Postgres
 * goes on with the row's new version instead. For statements that find their rows by key that is the same; one that
 * relies on a snapshot older than its wait would look better here than it is (docs/simulation.md).
 */

/** One row: committed value (null: not there), and what the transaction that owns it has made of it. */
export type Slot = { value: object | null; next: object | null; owner: Tx | null };
export type Table = Map<string | number, Slot>;

export type Tx = {
  /** now(): when it began, ms since 1970. */
  now_ms: number;
  touched: Set<Slot>;
  /** Run when it ends, either way. */
  waiters: (() => void)[];
  /** Of whom it waits for, to see a deadlock. */
  waits_for: Tx | null;
  /** NOTIFY payloads, told at the commit. */
  notices: string[];
  changed: boolean;
  /** Every table as it was at the first statement, for REPEATABLE READ. */
  snapshot: Map<string, Table> | null;
};

/** Thrown within a statement: the row is another transaction's. */
export class WaitFor extends Error {
  readonly owner: Tx;
  constructor(owner: Tx) {
    super('waits for a row');
    this.owner = owner;
  }
}

/** An error as pg gives it. */
export function sqlError(code: string, message: string, constraint?: string): Error {
  return Object.assign(new Error(message), { code, ...(constraint ? { constraint } : {}) });
}

export type Store = {
  table(name: string): Table;
  begin(now_ms: number, repeatable?: boolean): Tx;
  commit(tx: Tx): void;
  rollback(tx: Tx): void;
  /** Never goes back, even if a transaction does: row ids become visible out of order. */
  sequence(name: string): number;
  /** Counts commits that changed something. */
  version(): number;
  copy(): StoreCopy;
  /** As a restored backup: what was committed then. Nobody may be in a transaction. */
  restore(copy: StoreCopy): void;
};

export type StoreCopy = { rows: Map<string, Map<string | number, object>>; sequences: Map<string, number> };

export function createStore(): Store {
  let tables = new Map<string, Table>();
  let sequences = new Map<string, number>();
  let version = 0;

  function end(tx: Tx): void {
    for (const waiter of tx.waiters.splice(0)) waiter();
  }

  const store: Store = {
    table(name) {
      let table = tables.get(name);
      if (!table) {
        table = new Map();
        tables.set(name, table);
      }
      return table;
    },
    begin(now_ms, repeatable = false) {
      return {
        now_ms,
        touched: new Set(),
        waiters: [],
        waits_for: null,
        notices: [],
        changed: false,
        snapshot: repeatable
          ? new Map([...tables].map(([name, rows]) => [name, committed(rows)] as const))
          : null,
      };
    },
    commit(tx) {
      for (const slot of tx.touched) {
        slot.value = slot.next;
        slot.owner = null;
        slot.next = null;
      }
      tx.touched.clear();
      if (tx.changed) version += 1;
      end(tx);
    },
    rollback(tx) {
      for (const slot of tx.touched) {
        slot.owner = null;
        slot.next = null;
      }
      tx.touched.clear();
      end(tx);
    },
    sequence(name) {
      const next = (sequences.get(name) ?? 0) + 1;
      sequences.set(name, next);
      return next;
    },
    version: () => version,
    copy: () => ({
      rows: new Map(
        [...tables].map(([name, table]) => [
          name,
          new Map([...table].flatMap(([key, slot]) => (slot.value ? [[key, slot.value] as const] : []))),
        ]),
      ),
      sequences: new Map(sequences),
    }),
    restore(copy) {
      tables = new Map(
        [...copy.rows].map(([name, rows]) => [
          name,
          new Map([...rows].map(([key, value]) => [key, { value, next: null, owner: null }])),
        ]),
      );
      sequences = new Map(copy.sequences);
      version += 1;
    },
  };
  return store;
}

function committed(rows: Table): Table {
  return new Map([...rows].map(([key, { value }]) => [key, { value, next: null, owner: null }]));
}

/** What a statement works with. */
export type Scope = {
  tx: Tx;
  /** now() */
  now_ms: number;
  /** clock_timestamp() */
  clock_ms(): number;
  sequence(name: string): number;
  uuid(): string;
  get<T>(table: string, key: string | number): T | undefined;
  all<T>(table: string): T[];
  /** FOR NO KEY UPDATE. Waits for its owner. False: not there (any more). */
  lock(table: string, key: string | number): boolean;
  /** Is it another transaction's? For SKIP LOCKED. */
  locked(table: string, key: string | number): boolean;
  put(table: string, key: string | number, value: object): void;
  /** False if the key is taken. Waits for whoever is about to take it. */
  insert(table: string, key: string | number, value: object): boolean;
  notify(payload: string): void;
};

/** Runs `work` as one statement: if it throws, what it changed is as before; rows that it locked stay locked. */
export function statement<T>(
  store: Store,
  tx: Tx,
  clock: { now_ms: () => number; uuid: () => string },
  work: (scope: Scope) => T,
): T {
  const undo: (() => void)[] = [];

  const rows = (name: string): Table => tx.snapshot?.get(name) ?? store.table(name);
  const seen = (slot: Slot | undefined): object | null =>
    slot ? (slot.owner === tx ? slot.next : slot.value) : null;

  function own(slot: Slot): void {
    if (slot.owner === tx) return;
    if (slot.owner) throw new WaitFor(slot.owner);
    slot.owner = tx;
    slot.next = slot.value;
    tx.touched.add(slot);
  }

  function write(slot: Slot, value: object): void {
    if (tx.snapshot) throw sqlError('25006', 'cannot write in a read-only transaction');
    own(slot);
    const before = slot.next;
    undo.push(() => {
      slot.next = before;
    });
    slot.next = value;
    tx.changed = true;
  }

  const scope: Scope = {
    tx,
    now_ms: tx.now_ms,
    clock_ms: clock.now_ms,
    uuid: clock.uuid,
    sequence: store.sequence,
    get: <R>(table: string, key: string | number) =>
      (seen(rows(table).get(key)) ?? undefined) as R | undefined,
    all<R>(table: string) {
      const found: R[] = [];
      for (const slot of rows(table).values()) {
        const value = seen(slot);
        if (value) found.push(value as R);
      }
      return found;
    },
    lock(table, key) {
      const slot = rows(table).get(key);
      if (!slot || !seen(slot)) return false;
      own(slot);
      return true;
    },
    locked(table, key) {
      const owner = rows(table).get(key)?.owner;
      return owner !== null && owner !== undefined && owner !== tx;
    },
    put(table, key, value) {
      const slot = rows(table).get(key);
      if (!slot) throw new Error(`${table} has no row ${key}`);
      write(slot, value);
    },
    insert(table, key, value) {
      const known = rows(table);
      let slot = known.get(key);
      if (!slot) {
        slot = { value: null, next: null, owner: null };
        known.set(key, slot);
      }
      if (slot.owner && slot.owner !== tx) throw new WaitFor(slot.owner);
      if (seen(slot)) return false;
      write(slot, value);
      return true;
    },
    notify: (payload) => tx.notices.push(payload),
  };
  try {
    return work(scope);
  } catch (error) {
    for (const back of undo.reverse()) back();
    throw error;
  }
}
