/**
 * A simulated Postgres: sessions with transactions, waiting for rows, advisory locks, NOTIFY, and the ledger's named
 * statements (statements/). Answers through a callback, because a statement may have to wait for another session.
 */
import { createStore, type Scope, type Store, sqlError, statement, type Tx, WaitFor } from './store.ts';

export type SqlResult = { rows: object[]; rowCount: number; command: string };
export type SqlAnswer = { ok: true; result: SqlResult } | { ok: false; error: Error };
export type Statement = (scope: Scope, values: never) => object[] | number;

export type SimSession = {
  run(
    text: string,
    name: string | undefined,
    values: readonly unknown[],
    answer: (a: SqlAnswer) => void,
  ): void;
  /** The connection is gone: rolled back, and all it held is free. */
  end(): void;
  /** Told when the server itself ends the session. */
  on_end: () => void;
  inTransaction(): boolean;
};

export type SimLedger = {
  store: Store;
  session(): SimSession;
  /** A crash: all sessions end; what was committed stays. */
  restart(): void;
  listen(hear: (payload: string) => void): () => void;
  /** Rows of a table as committed, for judges. */
  rows<T>(table: string): T[];
  row<T>(table: string, key: string | number): T | undefined;
  /** Without a session: for setting a scene. */
  set<T>(work: (scope: Scope) => T): T;
  advisory: AdvisoryLocks;
};

export type AdvisoryLocks = {
  /** True if it is free or this owner's. */
  take(key: string, owner: object): boolean;
  free(key: string, owner: object): void;
  freeAll(owner: object): void;
  onFree(key: string, then: () => void): void;
};

export type SimLedgerOptions = {
  /** Its clock, ms since 1970. */
  now_ms: () => number;
  uuid: () => string;
  statements: Readonly<Record<string, Statement>>;
  /** Statements without a name, by a part of their text. */
  unnamed: readonly (readonly [part: string, run: Statement])[];
  /** Runs later. Absent: nothing ever waits for ever, as where one session is all there is. */
  later?: (after_ms: number, run: () => void) => void;
  /** Told of every commit that changed something. */
  on_commit?: () => void;
  note?: (what: string) => void;
};

const STATEMENT_TIMEOUT_MS = 10_000;

export function createSimLedger(options: SimLedgerOptions): SimLedger {
  const { now_ms, uuid, statements, unnamed } = options;
  const store = createStore();
  const advisory = createAdvisoryLocks();
  const hearing = new Set<(payload: string) => void>();
  const sessions = new Set<SimSession>();

  function commit(tx: Tx): void {
    store.commit(tx);
    if (tx.changed) options.on_commit?.();
    for (const payload of tx.notices) for (const hear of hearing) hear(payload);
  }

  function find(text: string, name: string | undefined): Statement {
    const found = name === undefined ? unnamed.find(([part]) => text.includes(part))?.[1] : statements[name];
    if (!found) throw new Error(`the simulated ledger has no statement ${name ?? text}`);
    return found;
  }

  function isDeadlock(tx: Tx, owner: Tx): boolean {
    for (let at: Tx | null = owner; at; at = at.waits_for) if (at === tx) return true;
    return false;
  }

  function session(): SimSession {
    let tx: Tx | undefined;
    let failed = false;
    let over = false;
    let activity = 0;

    function answerOf(work: () => SqlResult): SqlAnswer {
      try {
        return { ok: true, result: work() };
      } catch (error) {
        if (!(error instanceof Error) || !('code' in error)) throw error;
        return { ok: false, error };
      }
    }

    function control(text: string): SqlResult | undefined {
      const done = (command: string): SqlResult => ({ rows: [], rowCount: 0, command });
      if (text.startsWith('BEGIN')) {
        tx = store.begin(now_ms(), text.includes('REPEATABLE READ'));
        failed = false;
        watchIdle(tx);
        return done('BEGIN');
      }
      if (text === 'COMMIT' || text === 'ROLLBACK') {
        const ending = tx;
        tx = undefined;
        const commits = text === 'COMMIT' && !failed;
        failed = false;
        if (ending && commits) commit(ending);
        else if (ending) store.rollback(ending);
        return done(commits ? 'COMMIT' : 'ROLLBACK');
      }
      return /^(SET|RESET) /.test(text) ? done('SET') : undefined;
    }

    /** idle_in_transaction_session_timeout */
    function watchIdle(watched: Tx): void {
      const seen = activity;
      options.later?.(STATEMENT_TIMEOUT_MS, () => {
        if (over || tx !== watched) return;
        if (activity !== seen || watched.waits_for) return watchIdle(watched);
        options.note?.('ledger: a session idle in its transaction is ended');
        self.end();
        self.on_end();
      });
    }

    function attempt(
      text: string,
      name: string | undefined,
      values: readonly unknown[],
      answer: (a: SqlAnswer) => void,
      waited: { gave_up: boolean },
    ): void {
      if (over || waited.gave_up) return;
      const lock = advisoryCall(name, values, answer);
      if (lock) return;
      if (failed) {
        answer({ ok: false, error: sqlError('25P02', 'current transaction is aborted') });
        return;
      }
      const own = tx ?? store.begin(now_ms());
      try {
        const done = statement(store, own, { now_ms, uuid }, (scope) =>
          find(text, name)(scope, values as never),
        );
        const rows = typeof done === 'number' ? [] : done;
        if (!tx) commit(own);
        answer({
          ok: true,
          result: { rows, rowCount: typeof done === 'number' ? done : rows.length, command: '' },
        });
      } catch (error) {
        if (error instanceof WaitFor && !isDeadlock(own, error.owner)) {
          own.waits_for = error.owner;
          const again = () => {
            own.waits_for = null;
            if (!tx) store.rollback(own);
            attempt(text, name, values, answer, waited);
          };
          error.owner.waiters.push(options.later ? () => options.later?.(0, again) : again);
          return;
        }
        const told = error instanceof WaitFor ? sqlError('40P01', 'deadlock detected') : error;
        if (!(told instanceof Error) || !('code' in told)) throw told;
        if (tx) failed = true;
        else store.rollback(own);
        answer({ ok: false, error: told });
      }
    }

    function advisoryCall(
      name: string | undefined,
      values: readonly unknown[],
      answer: (a: SqlAnswer) => void,
    ): boolean {
      const done = () => answer({ ok: true, result: { rows: [{}], rowCount: 1, command: 'SELECT' } });
      if (name === 'seal_lock') {
        const take = () => {
          if (over) return;
          if (advisory.take(String(values[0]), self)) done();
          else advisory.onFree(String(values[0]), take);
        };
        take();
        return true;
      }
      if (name === 'seal_unlock') {
        advisory.free(String(values[0]), self);
        done();
        return true;
      }
      return false;
    }

    const self: SimSession = {
      on_end: () => {},
      inTransaction: () => tx !== undefined,
      run(text, name, values, answer) {
        if (over) return;
        activity += 1;
        const controlled = answerOf(() => control(text) ?? { rows: [], rowCount: -1, command: '' });
        if (!controlled.ok || controlled.result.rowCount !== -1) return answer(controlled);
        const waited = { gave_up: false };
        let answered = false;
        attempt(
          text,
          name,
          values,
          (result) => {
            answered = true;
            answer(result);
          },
          waited,
        );
        if (answered || !options.later) return;
        options.later(STATEMENT_TIMEOUT_MS, () => {
          if (answered || over) return;
          waited.gave_up = true;
          if (tx) {
            tx.waits_for = null;
            failed = true;
          }
          answer({ ok: false, error: sqlError('57014', 'canceling statement due to statement timeout') });
        });
      },
      end() {
        if (over) return;
        over = true;
        sessions.delete(self);
        if (tx) store.rollback(tx);
        tx = undefined;
        advisory.freeAll(self);
      },
    };
    sessions.add(self);
    return self;
  }

  return {
    store,
    session,
    advisory,
    restart() {
      for (const one of [...sessions]) {
        one.end();
        one.on_end();
      }
    },
    listen(hear) {
      hearing.add(hear);
      return () => hearing.delete(hear);
    },
    rows: <T>(table: string) =>
      [...store.table(table).values()].flatMap((slot) => (slot.value ? [slot.value as T] : [])),
    row: <T>(table: string, key: string | number) =>
      (store.table(table).get(key)?.value ?? undefined) as T | undefined,
    set(work) {
      const tx = store.begin(now_ms());
      const result = statement(store, tx, { now_ms, uuid }, work);
      store.commit(tx);
      return result;
    },
  };
}

function createAdvisoryLocks(): AdvisoryLocks {
  const held = new Map<string, object>();
  const waiting = new Map<string, (() => void)[]>();
  function free(key: string, owner: object): void {
    if (held.get(key) !== owner) return;
    held.delete(key);
    const next = waiting.get(key) ?? [];
    waiting.delete(key);
    for (const then of next) then();
  }
  return {
    take(key, owner) {
      const now = held.get(key);
      if (now && now !== owner) return false;
      held.set(key, owner);
      return true;
    },
    free,
    freeAll(owner) {
      for (const [key, whose] of [...held]) if (whose === owner) free(key, owner);
    },
    onFree(key, then) {
      waiting.set(key, [...(waiting.get(key) ?? []), then]);
    },
  };
}
