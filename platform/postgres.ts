/**
 * Connections to Postgres: a pool that never waits for ever, transactions, and what an error means.
 * bigint reads as a number, and throws where that would not be exact.
 */
import pg from 'pg';

/** Whatever runs a statement: a pool, or a client inside a transaction. */
export type Queryable = {
  query<R extends pg.QueryResultRow>(config: pg.QueryConfig): Promise<pg.QueryResult<R>>;
};

export type Pool = pg.Pool;

export type PoolOptions = {
  url: string;
  /** Connections at most. */
  max: number;
  /** Shown in pg_stat_activity. */
  application_name: string;
  /** A statement that runs longer is ended by the server. Default 10 s. */
  statement_timeout_ms?: number;
  /** Statements are sent without waiting for the answers to those before them. Their order stays. */
  pipeline?: boolean;
  /** Told of a connection that broke while idle; the pool replaces it. */
  on_error: (error: Error) => void;
};

const CONNECT_TIMEOUT_MS = 3_000;

/**
 * Every statement of ours finds its rows by key. A plan that rests on statistics is made while a table is empty, kept,
 * and wrong a minute later, when a sale has filled it. No compiler either: it would take longer than the statement.
 */
const BY_KEY = [
  'enable_seqscan=off',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
  'enable_material=off',
  'jit=off',
];

const INT8_OID = 20;

function exactInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new Error(`bigint ${text} is not exact as a number`);
  return value;
}

/** How values of a result are read. */
export const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === INT8_OID && format !== 'binary'
      ? exactInteger
      : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
};

/** Settings of one connection. Dead networks are noticed by our own timer, not by TCP's patience. */
export function clientConfig(
  options: Omit<PoolOptions, 'max' | 'on_error'>,
): pg.ClientConfig & { pipeline: boolean } {
  const statement_timeout = options.statement_timeout_ms ?? 10_000;
  return {
    connectionString: options.url,
    application_name: options.application_name,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout,
    query_timeout: statement_timeout + 2_000,
    // A process that stopped in mid-transaction must not hold rows that others wait for.
    idle_in_transaction_session_timeout: statement_timeout,
    keepAlive: true,
    pipeline: options.pipeline ?? false,
    options: BY_KEY.map((setting) => `-c ${setting}`).join(' '),
    types,
  };
}

export function createPool(options: PoolOptions): Pool {
  const pool = new pg.Pool({ ...clientConfig(options), max: options.max, idleTimeoutMillis: 30_000 });
  pool.on('error', options.on_error);
  // Whoever waited for a connection gets it while the bytes are read that freed it; if the next of them say that the server
  // shuts down, nobody has had a turn to listen yet, and an error without a listener ends the process.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** A prepared statement: parsed once a connection. `name` is unique in the program. */
export type Statement = { name: string; text: string };

/** Runs a prepared statement and returns its rows. */
export async function rows<R extends pg.QueryResultRow>(
  db: Queryable,
  statement: Statement,
  values: unknown[] = [],
): Promise<R[]> {
  return (await db.query<R>({ ...statement, values })).rows;
}

/** Runs a prepared statement and returns how many rows it changed. */
export async function changes(db: Queryable, statement: Statement, values: unknown[] = []): Promise<number> {
  return (await db.query({ ...statement, values })).rowCount ?? 0;
}

export type TransactionOptions = {
  /** `snapshot`: REPEATABLE READ, READ ONLY: every statement sees the same moment. */
  mode?: 'write' | 'snapshot';
};

const BEGIN = { write: 'BEGIN', snapshot: 'BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY' } as const;
const RUNS_MAX = 3;

/**
 * Runs `work` in one transaction on one connection. A deadlock or a serialization failure runs it again,
 * so `work` must do nothing but talk to this connection. After an error that is `unavailable` the
 * transaction may or may not have committed.
 */
export async function withTransaction<T>(
  pool: Pool,
  work: (tx: pg.PoolClient) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  for (let run = 1; ; run++) {
    try {
      return await runOnce(pool, work, BEGIN[options.mode ?? 'write']);
    } catch (error) {
      if (run === RUNS_MAX || classifyError(error) !== 'retry') throw error;
    }
  }
}

function runOnce<T>(pool: Pool, work: (tx: pg.PoolClient) => Promise<T>, begin: string): Promise<T> {
  return withConnection(pool, (client) => transaction(client, () => work(client), begin));
}

/** Runs `work` between BEGIN and COMMIT on this connection, once. */
export async function transaction<T>(
  client: pg.PoolClient,
  work: () => Promise<T>,
  begin: string = BEGIN.write,
): Promise<T> {
  try {
    const result = await (isPipelined(client) ? beginTogether(client, work, begin) : beginFirst());
    // COMMIT of a transaction that has failed answers ROLLBACK, and no error.
    const { command } = await client.query('COMMIT');
    if (command !== 'COMMIT') throw new Error('the transaction had failed before its COMMIT');
    return result;
  } catch (error) {
    if (classifyError(error) !== 'unavailable') await client.query('ROLLBACK');
    throw error;
  }

  async function beginFirst(): Promise<T> {
    await client.query(begin);
    return work();
  }
}

type Pipelined = { pipeline?: boolean; connection: { stream: { cork(): void; uncork(): void } } };

function isPipelined(client: Queryable): boolean {
  return (client as unknown as Pipelined).pipeline === true;
}

/**
 * Statements of one transaction of which none needs another's answer, in their order: sent at once where the
 * connection can (PoolOptions.pipeline), else one after another. If one fails, none after it has done anything.
 */
export async function together<A, B>(
  tx: Queryable,
  first: () => Promise<A>,
  second: () => Promise<B>,
): Promise<[A, B]> {
  if (isPipelined(tx)) return Promise.all([first(), second()]);
  return [await first(), await second()];
}

/** BEGIN goes out with the first statements of `work`, in one write. */
async function beginTogether<T>(client: pg.PoolClient, work: () => Promise<T>, begin: string): Promise<T> {
  const { stream } = (client as unknown as Pipelined).connection;
  stream.cork();
  process.nextTick(() => stream.uncork());
  const begun = client.query(begin);
  // It fails with the connection, and then so does all that follows: that is told first.
  begun.catch(() => {});
  const result = await work();
  await begun;
  return result;
}

/**
 * Runs `work` on one connection. After an error that leaves its state unknown the connection is closed, and with
 * it goes whatever it held.
 */
export async function withConnection<T>(pool: Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const onError = (error: Error) => {
    broken = error;
  };
  // A connection that breaks between two statements says so by an event, which would end the process.
  client.on('error', onError);
  try {
    return await work(client);
  } catch (error) {
    if (classifyError(error) === 'unavailable') broken ??= asError(error);
    throw error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/**
 * `unavailable`: the ledger can't be reached, is starting, stopping, full or too slow; try later.
 * `retry`: this transaction lost against another one; run it again.
 * `bug`: the statement is wrong or a constraint refused it; trying again changes nothing.
 */
export type ErrorKind = 'unavailable' | 'retry' | 'bug';

const UNAVAILABLE_STATES = new Set([
  '57014', // query_canceled: statement_timeout
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '25P03', // idle_in_transaction_session_timeout
  '25006', // read_only_sql_transaction: a standby
  '55P03', // lock_not_available: lock_timeout
  '3D000', // the database is not there (yet)
  '42P01', // undefined_table: not migrated (yet)
]);
const UNAVAILABLE_CLASSES = ['08', '53', '58'];
const UNAVAILABLE_MESSAGES =
  /^(Connection terminated|Query read timeout|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error|Client was closed|Cannot use a pool after|Connection ended)/;

export function classifyError(error: unknown): ErrorKind {
  if (error instanceof AggregateError) return error.errors.length ? classifyError(error.errors[0]) : 'bug';
  if (!(error instanceof Error)) return 'bug';
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string') {
    if (code === '40001' || code === '40P01') return 'retry';
    if (UNAVAILABLE_STATES.has(code)) return 'unavailable';
    if (code.length === 5 && UNAVAILABLE_CLASSES.includes(code.slice(0, 2))) return 'unavailable';
    // Socket errors of Node: ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT, ENOTFOUND ...
    if ('syscall' in error || /^E(CONN|PIPE|TIMEDOUT|HOST|NET|NOTFOUND|AI_)/.test(code)) return 'unavailable';
  }
  return UNAVAILABLE_MESSAGES.test(error.message) ? 'unavailable' : 'bug';
}

export function isUnavailable(error: unknown): boolean {
  return classifyError(error) === 'unavailable';
}
