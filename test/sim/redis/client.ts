/**
 * What the product takes for its ioredis client: the methods it uses, over a wire that may break. As configured in
 * platform/redis.ts: nothing is queued while it is away, nothing is sent again, and it reconnects for ever. A promise in
 * flight when the connection breaks is rejected, or (hazard 3) never settles.
 */
import type { Redis } from 'ioredis';
import type { Random } from '../core/random.ts';
import type { Process, Scheduler } from '../core/scheduler.ts';
import { createWire, type Weather, type Wire } from '../core/wire.ts';
import type { SimRedisServer } from './server.ts';

export type SimRedisLink = {
  client: Redis;
  /** The connection breaks. */
  cut(why: string): void;
};

export type SimRedisClientOptions = {
  scheduler: Scheduler;
  random: Random;
  process: Process;
  server: SimRedisServer;
  weather: () => Weather;
  /** Does the server take connections? */
  up: () => boolean;
  note?: (what: string) => void;
  /** Told of what the simulation lacks. */
  missing: (what: string) => void;
};

export type Arg = string | number | Buffer;
type Done = { ok: true; value: unknown } | { ok: false; error: unknown };

const NEVER_SETTLES = 0.5;

/** The methods of ioredis that the product uses, over whatever carries out a command. */
export function methodsOver(call: (name: string, args: readonly Arg[]) => Promise<unknown>) {
  const words = (values: unknown): unknown =>
    Array.isArray(values) ? values.map((v) => (Buffer.isBuffer(v) ? v.toString() : v)) : values;
  const record = (found: Map<string, Buffer>, how: (value: Buffer) => unknown) =>
    Object.fromEntries([...found].map(([name, value]) => [name, how(value)]));
  const asMap = (found: unknown) => found as Map<string, Buffer>;

  return {
    sendCommand: (command: { name: string; args: Arg[] }) => call(command.name.toUpperCase(), command.args),
    script: (action: string, source: string) => call('SCRIPT', [action, source]),
    get: (key: string) => call('GET', [key]),
    set: (key: string, value: string) => call('SET', [key, value]),
    unlink: (...keys: string[]) => call('UNLINK', keys),
    hget: (key: string, field: Arg) =>
      call('HGET', [key, field]).then((v) => (v === null ? null : String(v))),
    hgetBuffer: (key: string, field: Arg) => call('HGET', [key, field]),
    hmget: (key: string, ...fields: Arg[]) => call('HMGET', [key, ...fields]).then(words),
    hmgetBuffer: (key: string, ...fields: Arg[]) => call('HMGET', [key, ...fields]),
    hgetall: (key: string) => call('HGETALL', [key]).then((found) => record(asMap(found), String)),
    hgetallBuffer: (key: string) => call('HGETALL', [key]).then((found) => record(asMap(found), (v) => v)),
    hscanBuffer: (key: string, cursor: string) => call('HSCAN', [key, cursor]),
    time: () => call('TIME', []),
    info: (section: string) => call('INFO', [section]),
    config: (action: string, name: string) => call('CONFIG', [action, name]),
    xrangeBuffer: (...args: Arg[]) => call('XRANGE', args),
    exists: (key: string) => call('EXISTS', [key]),
    pexpire: (...args: Arg[]) => call('PEXPIRE', args),
    xtrim: (key: string, how: string, id: string) => call('XTRIM', [key, how, id]),
  };
}

export function createSimRedisClient(options: SimRedisClientOptions): SimRedisLink {
  const { scheduler, random, process, server } = options;
  let wire: Wire | undefined;
  const listeners = new Map<string, Set<() => void>>();

  function emit(event: string): void {
    for (const listener of [...(listeners.get(event) ?? [])]) listener();
  }

  function connect(): void {
    if (!options.up()) {
      scheduler.after(random.delay_ms(25, 500), process, connect);
      return;
    }
    wire = createWire({
      ...{ scheduler, random, process, weather: options.weather },
      on_cut: () => {
        wire = undefined;
        client.status = 'reconnecting';
        scheduler.after(random.delay_ms(25, 500), process, connect);
      },
      note: (why) => options.note?.(`${process.name} redis: ${why}`),
    });
    client.status = 'ready';
    emit('ready');
  }

  function call(name: string, args: readonly Arg[]): Promise<unknown> {
    const line = wire;
    if (!line)
      return Promise.reject(new Error("Stream isn't writeable and enableOfflineQueue options is false"));
    return new Promise((resolve, reject) => {
      line.request<Done>(
        (answer) => {
          try {
            answer({ ok: true, value: server.command(name, args) });
          } catch (error) {
            if (!(error instanceof Error) || error.name !== 'ReplyError') throw error;
            answer({ ok: false, error });
          }
        },
        (done) => (done.ok ? resolve(done.value) : reject(done.error)),
        () => {
          if (!random.chance(NEVER_SETTLES)) reject(new Error('Connection is closed.'));
        },
      );
    });
  }

  const client = {
    status: 'connecting',
    on(event: string, listener: () => void) {
      if (!listeners.has(event)) listeners.set(event, new Set());
      listeners.get(event)?.add(listener);
    },
    once(event: string, listener: () => void) {
      const once = () => {
        listeners.get(event)?.delete(once);
        listener();
      };
      client.on(event, once);
    },
    off(event: string, listener: () => void) {
      listeners.get(event)?.delete(listener);
    },
    ...methodsOver(call),
  };
  connect();
  const known = new Proxy(client, {
    get(target, name) {
      if (name in target) return target[name as keyof typeof target];
      // A method that the product uses and this does not have must not pass for an outage.
      options.missing(`the simulated Redis client has no ${String(name)}`);
      return undefined;
    },
  });
  return { client: known as unknown as Redis, cut: (why) => wire?.cut(why) };
}
