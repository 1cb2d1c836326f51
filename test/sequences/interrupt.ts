/**
 * A reconciler that dies, or stands still, between any two of its steps: its database and its Redis, counted call by
 * call. Dead, it never calls again and its connections are gone, as after kill -9. Standing still (SIGSTOP), its
 * connections are ended where they stood, as the ledger does with a transaction that nobody goes on with; when it is
 * woken it goes on from that very call.
 */
import type { Redis } from 'ioredis';
import type pg from 'pg';
import type { Pool } from '../../platform/postgres.ts';

export type Interruption = {
  kind: 'crash' | 'pause';
  /** Calls that come through before. */
  after_calls: number;
  /** `before` the call is sent, or when it has taken effect and only its answer is missing. */
  when: 'before' | 'after';
};

/** What a dead process would have thrown. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted');
    this.name = 'Interrupted';
  }
}

export type Interruptible = {
  db: Pool;
  redis: Redis;
  /** The next interruption; counted from now on. */
  arm(interruption: Interruption): void;
  /** No interruption any more. */
  disarm(): void;
  /** It has crashed: whatever comes of its step is nobody's. */
  dead(): boolean;
  /** Resolves when it stands still. */
  paused: () => Promise<void>;
  wake(): void;
};

type Connection = { severed: boolean; client: pg.PoolClient };
type Call = () => Promise<unknown>;

/** Properties of ioredis that talk to nobody. */
const LOCAL = new Set(['on', 'off', 'once', 'emit', 'removeListener', 'listenerCount']);

/** Clients of a pool that somebody listens to already. */
const listened = new WeakSet<pg.PoolClient>();

export function interruptible(real: { db: Pool; redis: Redis }): Interruptible {
  const held = new Set<Connection>();
  let armed: (Interruption & { calls: number }) | undefined;
  let dead = false;
  let wake: (() => void) | undefined;
  let announce: (() => void) | undefined;
  let standing_still = NEVER;

  function sever(): void {
    for (const connection of held) {
      connection.severed = true;
      (
        connection.client as unknown as { connection: { stream: { destroy(): void } } }
      ).connection.stream.destroy();
    }
  }

  async function through(call: Call, connection?: Connection): Promise<unknown> {
    if (dead) throw new Interrupted();
    if (!armed || armed.calls++ < armed.after_calls) return call();
    const { kind, when } = armed;
    armed = undefined;
    const done = when === 'after' ? await settled(call) : undefined;
    if (kind === 'crash') dead = true;
    sever();
    if (dead) throw new Interrupted();
    await new Promise<void>((resolve) => {
      wake = resolve;
      announce?.();
    });
    wake = undefined;
    standing_still = NEVER;
    if (connection?.severed) throw new Error('Connection terminated unexpectedly');
    if (!done) return call();
    if ('error' in done) throw done.error;
    return done.value;
  }

  const client = (connection: Connection): pg.PoolClient =>
    new Proxy(connection.client, {
      get(target, name) {
        if (name === 'query')
          return (config: pg.QueryConfig) => through(() => target.query(config), connection);
        if (name === 'release') {
          return (broken?: Error | boolean) => {
            held.delete(connection);
            target.release(connection.severed || broken);
          };
        }
        return bound(target, name);
      },
    });

  const db = new Proxy(real.db, {
    get(target, name) {
      if (name === 'query') return (config: pg.QueryConfig) => through(() => target.query(config));
      if (name !== 'connect') return bound(target, name);
      return async () => {
        const connection: Connection = { severed: false, client: await target.connect() };
        // Whoever has it listens too; but from the moment it is severed nobody may.
        if (!listened.has(connection.client)) connection.client.on('error', ignore);
        listened.add(connection.client);
        held.add(connection);
        return client(connection);
      };
    },
  });

  const redis = new Proxy(real.redis, {
    get(target, name) {
      const value = bound(target, name);
      if (typeof value !== 'function' || LOCAL.has(String(name))) return value;
      if (name === 'pipeline' || name === 'multi') return () => pipelined(value() as object);
      return (...args: unknown[]) => through(() => value(...args) as Promise<unknown>);
    },
  });

  function pipelined(pipeline: object): object {
    return new Proxy(pipeline, {
      get(target, name) {
        const value = bound(target, name);
        if (typeof value !== 'function') return value;
        if (name === 'exec' || name === 'execBuffer') {
          return (...args: unknown[]) => through(() => value(...args) as Promise<unknown>);
        }
        return (...args: unknown[]) => {
          value(...args);
          return pipelined(target);
        };
      },
    });
  }

  return {
    db,
    redis,
    arm(interruption) {
      armed = { ...interruption, calls: 0 };
      standing_still = new Promise((resolve) => {
        announce = resolve;
      });
    },
    disarm() {
      armed = undefined;
    },
    dead: () => dead,
    paused: () => standing_still,
    wake: () => wake?.(),
  };
}

const NEVER = new Promise<void>(() => {});

function ignore(): void {}

async function settled(call: Call): Promise<{ value: unknown } | { error: unknown }> {
  try {
    return { value: await call() };
  } catch (error) {
    return { error };
  }
}

function bound(target: object, name: string | symbol): unknown {
  const value = Reflect.get(target, name) as unknown;
  return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
}
