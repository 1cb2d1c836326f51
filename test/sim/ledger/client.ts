/**
 * What the product takes for its pool of Postgres connections: connect, query, release, over wires that may break. A
 * connection that breaks says what pg says then, and whether a COMMIT on its way was carried out nobody knows.
 */
import type pg from 'pg';
import type { Pool } from '../../../platform/postgres.ts';
import type { Random } from '../core/random.ts';
import type { Process, Scheduler } from '../core/scheduler.ts';
import { createWire, type Weather, type Wire } from '../core/wire.ts';
import type { SimLedger, SimSession, SqlAnswer } from './server.ts';

export type SimPoolOptions = {
  scheduler: Scheduler;
  random: Random;
  process: Process;
  ledger: SimLedger;
  weather: () => Weather;
  up: () => boolean;
  /** As PoolOptions.pipeline: statements are sent without waiting for answers. */
  pipeline?: boolean;
  note?: (what: string) => void;
};

export type SimPool = {
  pool: Pool;
  /** Its connections break: a process was killed, or a network. */
  cut(why: string): void;
};

type Query = string | { text: string; name?: string; values?: readonly unknown[] };
type Connection = {
  wire: Wire;
  session: SimSession;
  listeners: Set<(error: Error) => void>;
  broken: boolean;
};

const LOST = 'Connection terminated unexpectedly';

export function createSimPool(options: SimPoolOptions): SimPool {
  const { scheduler, random, process, ledger } = options;
  const open = new Set<Connection>();
  const idle: Connection[] = [];

  function connect(): Connection | undefined {
    if (!options.up()) return undefined;
    const session = ledger.session();
    const wire = createWire({
      ...{ scheduler, random, process, weather: options.weather },
      on_cut: () => {
        connection.broken = true;
        open.delete(connection);
        session.end();
        scheduler.after(0, process, () => {
          for (const listener of connection.listeners) listener(new Error(LOST));
        });
      },
      note: (why) => options.note?.(`${process.name} ledger: ${why}`),
    });
    const connection: Connection = { wire, session, listeners: new Set(), broken: false };
    session.on_end = () => wire.cut('ended by the server');
    open.add(connection);
    return connection;
  }

  function query(connection: Connection, config: Query): Promise<object> {
    const { text, name, values = [] } = typeof config === 'string' ? { text: config } : config;
    if (connection.broken) return Promise.reject(new Error(LOST));
    return new Promise((resolve, reject) => {
      connection.wire.request<SqlAnswer>(
        (answer) => connection.session.run(text, name, values, answer),
        (done) => (done.ok ? resolve(done.result) : reject(done.error)),
        () => reject(new Error(LOST)),
      );
    });
  }

  async function take(): Promise<Connection> {
    for (let known = idle.pop(); known; known = idle.pop()) if (!known.broken) return known;
    const fresh = connect();
    if (fresh) return fresh;
    await new Promise<void>((resolve) => scheduler.after(random.delay_ms(1, 50), process, resolve));
    throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', syscall: 'connect' });
  }

  function clientOf(connection: Connection): pg.PoolClient {
    const client = {
      query: (config: Query) => query(connection, config),
      on: (_event: string, listener: (error: Error) => void) => connection.listeners.add(listener),
      off: (_event: string, listener: (error: Error) => void) => connection.listeners.delete(listener),
      release(broken?: Error) {
        connection.listeners.clear();
        if (broken) connection.wire.cut('given up');
        else if (!connection.broken) idle.push(connection);
      },
      pipeline: options.pipeline === true,
      connection: { stream: { cork: () => {}, uncork: () => {} } },
    };
    return client as unknown as pg.PoolClient;
  }

  const pool = {
    connect: async () => clientOf(await take()),
    async query(config: Query) {
      const connection = await take();
      try {
        const result = await query(connection, config);
        idle.push(connection);
        return result;
      } catch (error) {
        if (!connection.broken) idle.push(connection);
        throw error;
      }
    },
  };
  return {
    pool: pool as unknown as Pool,
    cut(why) {
      for (const connection of [...open]) connection.wire.cut(why);
    },
  };
}
