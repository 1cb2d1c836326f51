/**
 * The connection that a part of the outbox stands on: it holds the locks by which each work has one active worker, hears
 * of what there is to do (NOTIFY), and the horizon is read over it. When it goes, all three go together, and begin anew.
 */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { lockKey } from '../../ledger/locks.ts';
import { clientConfig, type Queryable } from '../../platform/postgres.ts';
import { pause } from '../loop.ts';

/** A dead connection is noticed by the server after about this long, even if the machine vanished, s. */
const KEEPALIVE_S = 10;
const RECONNECT_MS = 1_000;

export type Session = {
  client: Queryable;
  /** True if this session is who works for that name, now or already. */
  tryLock(name: string): Promise<boolean>;
  /** Aborted when the connection is gone. */
  lost: AbortSignal;
  close(): Promise<void>;
};

export type SessionOptions = {
  url: string;
  application_name: string;
  /** What is listened to. */
  channel: string;
  /** Something may have come: somebody has committed it, or nobody can know. */
  hear: () => void;
  on_error: (error: Error) => void;
};

/** Attends to one session after another until the signal ends it: whatever goes with one begins anew with the next. */
export async function keepSession(
  options: SessionOptions & { signal: AbortSignal; on_failure: (error: unknown) => void },
  attend: (session: Session) => Promise<void>,
): Promise<void> {
  const { signal } = options;
  while (!signal.aborted) {
    try {
      const session = await openSession(options);
      await attend(session).finally(() => session.close());
    } catch (error) {
      options.on_failure(error);
    }
    if (!signal.aborted) await pause(RECONNECT_MS, signal);
  }
}

/** Rejects if the ledger cannot be reached. */
async function openSession(options: SessionOptions): Promise<Session> {
  const client = new pg.Client(clientConfig(options));
  const gone = new AbortController();
  const held = new Set<string>();
  client.on('error', (error) => {
    options.on_error(error);
    gone.abort();
  });
  client.on('end', () => gone.abort());
  client.on('notification', options.hear);
  await client.connect();
  await client.query(
    `SET tcp_keepalives_idle = ${KEEPALIVE_S}; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3`,
  );
  await client.query(`LISTEN ${options.channel}`);
  options.hear();

  // One question at a time.
  let turn: Promise<unknown> = Promise.resolve();
  const queued: Queryable = {
    query<R extends pg.QueryResultRow>(config: pg.QueryConfig) {
      const mine = turn.then(() => client.query<R>(config));
      turn = mine.catch(() => {});
      return mine;
    },
  };

  return {
    client: queued,
    lost: gone.signal,
    async tryLock(name) {
      if (held.has(name)) return true;
      const { rows } = await queued.query<{ taken: boolean }>({
        name: 'try_lock',
        text: 'SELECT pg_try_advisory_lock($1::bigint) AS taken',
        values: [lockKey('outbox', hashed(name))],
      });
      if (rows[0].taken) held.add(name);
      return rows[0].taken;
    },
    async close() {
      gone.abort();
      await client.end().catch(() => {});
    },
  };
}

/** 40 bits, as many as a lock's key has room for. */
function hashed(name: string): number {
  return createHash('sha256').update(name).digest().readUIntBE(0, 5);
}
