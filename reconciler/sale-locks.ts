/**
 * Which sales this process works on: session-level advisory locks on a connection of their own. When the
 * connection goes, so do all locks, and another reconciler takes over; what this one still does meanwhile is
 * stopped by the compare-and-sets in the ledger.
 */
import pg from 'pg';
import { type LockName, lockKey } from '../ledger/locks.ts';
import { clientConfig } from '../platform/postgres.ts';

export type SaleLocks = {
  /** True if the lock is held, now or already. Throws when the ledger is away. */
  acquire(name: LockName, saleNo: number): Promise<boolean>;
  /** Without asking the ledger: is the connection that took it still there? */
  holds(name: LockName, saleNo: number): boolean;
  /** Asks the ledger whether the connection lives; if not, nothing is held any more. Throws then. */
  check(): Promise<void>;
  close(): Promise<void>;
};

/** A dead connection is noticed by the server after about this long, even if the machine vanished, s. */
const KEEPALIVE_S = 10;

export function createSaleLocks(options: {
  url: string;
  application_name: string;
  on_error: (error: Error) => void;
}): SaleLocks {
  let client: pg.Client | undefined;
  let held = new Set<string>();
  let closed = false;
  /** One question at a time on one connection. */
  let turn: Promise<unknown> = Promise.resolve();

  function drop(lost: pg.Client): void {
    if (client !== lost) return;
    client = undefined;
    held = new Set();
  }

  async function connect(): Promise<pg.Client> {
    if (closed) throw new Error('the locks are closed');
    const fresh = new pg.Client(clientConfig(options));
    fresh.on('error', (error) => {
      drop(fresh);
      options.on_error(error);
    });
    fresh.on('end', () => drop(fresh));
    await fresh.connect();
    await fresh.query(
      `SET tcp_keepalives_idle = ${KEEPALIVE_S}; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3`,
    );
    client = fresh;
    return fresh;
  }

  async function take(key: string): Promise<boolean> {
    if (held.has(key)) return true;
    const owner = client ?? (await connect());
    const { rows } = await owner.query<{ taken: boolean }>({
      name: 'try_lock',
      text: 'SELECT pg_try_advisory_lock($1::bigint) AS taken',
      values: [key],
    });
    // The connection may have gone meanwhile, and the lock with it.
    if (!rows[0].taken || client !== owner) return false;
    held.add(key);
    return true;
  }

  return {
    acquire(name, saleNo) {
      const key = lockKey(name, saleNo);
      if (held.has(key)) return Promise.resolve(true);
      const mine = turn.then(() => take(key));
      turn = mine.catch(() => {});
      return mine;
    },
    holds: (name, saleNo) => held.has(lockKey(name, saleNo)),
    check() {
      const mine = turn.then(async () => {
        const owner = client;
        try {
          await owner?.query('SELECT 1');
        } catch (error) {
          if (owner) drop(owner);
          await owner?.end().catch(() => {});
          throw error;
        }
      });
      turn = mine.catch(() => {});
      return mine;
    },
    async close() {
      closed = true;
      const last = client;
      if (last) drop(last);
      await last?.end().catch(() => {});
    },
  };
}
