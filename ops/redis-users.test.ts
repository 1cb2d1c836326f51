import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bucketKey, routeKey, saleKeys } from '../lua/keys.ts';
import { REBUILD_SCRIPTS } from '../lua/rebuild-scripts.ts';
import type { Script } from '../lua/registry.ts';
import { SCRIPTS } from '../lua/scripts.ts';
import { type RedisServer, startRedis } from '../platform/local/redis-server.ts';
import { type RedisUser, redisUsersText } from '../platform/local/redis-users.ts';
import { connectRedis, redisReady } from '../platform/redis.ts';
import { checkRedis } from '../platform/redis-check.ts';
import { lastWill } from '../test/support/last-will.ts';
import { testRedis } from '../test/support/redis.ts';
import { asRedisUser, TEST_REDIS_PASSWORDS as passwords } from '../test/support/redis-users.ts';

const ops = fileURLToPath(new URL('.', import.meta.url));
const place = { tenant: 'shop', sale: 'drop', generation: 3 };
const keys = Object.values(saleKeys(place));
const bucket = bucketKey(place, 20_000);
const route = routeKey(Buffer.from('0102030405', 'hex'));

const VERBS: Record<string, Script> = { ...SCRIPTS, ...REBUILD_SCRIPTS };

/** Verbs whose bindings the engine imports; a test below holds this against its sources. */
const ENGINE_VERBS = ['reserve', 'gate', 'reduce'];

/** An example of each command, as far as Redis wants arguments to look at: `key` stands for a key. */
const EXAMPLES: Record<string, string[]> = {
  PING: [],
  TIME: [],
  MULTI: [],
  EXEC: [],
  SCRIPT: ['LOAD', 'return 1'],
  INFO: ['server'],
  EXISTS: ['key'],
  GET: ['key'],
  SET: ['key', 'v'],
  HGET: ['key', 'f'],
  HMGET: ['key', 'f'],
  HGETALL: ['key'],
  HLEN: ['key'],
  HSCAN: ['key', '0'],
  HSET: ['key', 'f', 'v'],
  HDEL: ['key', 'f'],
  HINCRBY: ['key', 'f', '1'],
  XADD: ['key', '*', 'f', 'v'],
  XRANGE: ['key', '-', '+'],
  XREVRANGE: ['key', '+', '-'],
  XLEN: ['key'],
  XTRIM: ['key', 'MINID', '1'],
  XSETID: ['key', '1'],
  PEXPIREAT: ['key', '1'],
  PEXPIRE: ['key', '1'],
  PERSIST: ['key'],
  UNLINK: ['key'],
  DEL: ['key'],
};

let server: RedisServer;
let redis: Redis;
let revoke: () => void;
let dir: string;
/** Connected as each user, on a Redis where a connection without a name may do nothing. */
const as: Partial<Record<RedisUser, Redis>> = {};

/** What Redis would say to this user: 'OK', or why not. */
async function dryRun(user: RedisUser, command: string, args: readonly string[]): Promise<string> {
  return String(await redis.call('ACL', 'DRYRUN', user, command, ...args));
}

beforeAll(async () => {
  redis = connectRedis(testRedis().url);
  redis.on('error', () => {});
  dir = mkdtempSync(join(tmpdir(), 'stampede-users-'));
  server = await startRedis({ dir, users: { passwords } });
  revoke = lastWill([server.pid], dir);
  for (const user of ['engine', 'reconciler', 'operator'] as const) {
    const connection = connectRedis(server.urlOf(user));
    connection.on('error', () => {});
    await redisReady(connection, 10_000);
    as[user] = connection;
  }
  await redisReady(redis, 10_000);
});
afterAll(async () => {
  for (const connection of [redis, ...Object.values(as)]) connection?.disconnect();
  await server?.kill();
  revoke?.();
  rmSync(dir, { recursive: true, force: true });
});

/** Every command that a verb's source calls. A command by a variable would be missed, so there must be none. */
function commandsOf(verb: string): string[] {
  const { source } = VERBS[verb] as Script;
  expect(source.match(/redis\.p?call\((?!')/g), `${verb} names its commands`).toBeNull();
  return [
    ...new Set([...source.matchAll(/redis\.p?call\('([A-Za-z]+)'/g)].map((match) => match[1] as string)),
  ];
}

/** The keys that a command of ours is used on, by who may do less. */
function keysFor(user: RedisUser, command: string): string[] {
  if (user === 'engine' && command === 'PEXPIREAT') return [bucket];
  return command === 'GET' || command === 'SET' ? [route] : [...keys, bucket];
}

async function refusals(user: RedisUser, commands: readonly string[]): Promise<string[]> {
  const refused: string[] = [];
  for (const command of commands) {
    const example = EXAMPLES[command];
    if (!example) throw new Error(`EXAMPLES needs ${command}`);
    for (const key of example[0] === 'key' ? keysFor(user, command) : ['']) {
      const said = await dryRun(user, command, example[0] === 'key' ? [key, ...example.slice(1)] : example);
      if (said !== 'OK') refused.push(`${command} ${key}: ${said}`);
    }
  }
  return refused;
}

/** Commands that TypeScript of these folders sends by itself. */
function sentBy(...folders: string[]): string[] {
  const paths = folders.map((folder) => join(ops, '..', folder));
  const found = execFileSync('grep', [
    '-rhoE',
    ...['--include=*.ts', '--exclude=*.test.ts', '--exclude-dir=testing'],
    String.raw`\bredis\.[a-z]+(Buffer)?\(|\)\.(hmget|hgetall)\(`,
    ...paths,
  ]).toString();
  const names = [...found.matchAll(/\.([a-z]+?)(?:Buffer)?\(/g)].map((match) => match[1] as string);
  // Of the client itself, or through runScript.
  const others = ['on', 'once', 'off', 'disconnect', 'call', 'sendCommand', 'quit'].map((name) =>
    name.toLowerCase(),
  );
  return [...new Set(names)].filter((name) => !others.includes(name)).map((name) => name.toUpperCase());
}

describe('users of Redis', () => {
  it.each(ENGINE_VERBS)('the engine may all that %s does', async (verb) => {
    expect(await refusals('engine', commandsOf(verb))).toEqual([]);
  });

  it.each(Object.keys(VERBS))('the reconciler may all that %s does', async (verb) => {
    expect(await refusals('reconciler', commandsOf(verb))).toEqual([]);
  });

  it('each may send what its code sends', async () => {
    const engine = sentBy('engine');
    expect(engine).toEqual(expect.arrayContaining(['HGETALL', 'HSCAN', 'GET', 'TIME']));
    expect(await refusals('engine', engine)).toEqual([]);
    const reconciler = sentBy('reconciler', 'lua');
    expect(reconciler).toEqual(expect.arrayContaining(['XTRIM', 'SET', 'MULTI']));
    expect(await refusals('reconciler', reconciler)).toEqual([]);
  });

  it('the engine calls the verbs that it is said to call', () => {
    const list = execFileSync('grep', [
      '-rhE',
      '--include=*.ts',
      '--exclude=*.test.ts',
      '^import \\{.*lua/scripts',
      join(ops, '../engine'),
    ]);
    const names = [...list.toString().matchAll(/\b(\w+)(?: as \w+)?(?=[,} ]+)/g)].map((match) => match[1]);
    const verbs = Object.keys(VERBS).filter((verb) => names.includes(verb));
    expect(verbs.sort()).toEqual([...ENGINE_VERBS].sort());
  });

  it('the engine may read where an order id leads, and not write it', async () => {
    expect(await dryRun('engine', 'GET', [route])).toBe('OK');
    expect(await dryRun('engine', 'SET', [route, 'shop:drop'])).not.toBe('OK');
    expect(await dryRun('reconciler', 'SET', [route, 'shop:drop'])).toBe('OK');
  });

  it('the engine can take nothing out of a stream, and end the life of nothing but a day of reservations', async () => {
    const { stream, record } = saleKeys(place);
    for (const [command, ...args] of [
      ['XTRIM', stream, 'MAXLEN', '0'],
      ['XDEL', stream, '1-0'],
      ['UNLINK', stream],
      ['DEL', record],
      ['PEXPIREAT', stream, '1'],
      ['PEXPIREAT', record, '1'],
      ['EXPIRE', record, '1'],
      ['RENAME', record, stream],
      ['HDEL', record, 'epoch'],
      ['GETDEL', record],
    ]) {
      expect([command, await dryRun('engine', command as string, args)]).not.toContain('OK');
    }
  });

  const FORBIDDEN = [
    ['FLUSHALL'],
    ['FLUSHDB'],
    ['CONFIG', 'SET', 'appendfsync', 'no'],
    ['CONFIG', 'REWRITE'],
    ['CONFIG', 'RESETSTAT'],
    ['DEBUG', 'SLEEP', '0'],
    ['KEYS', '*'],
    ['SCAN', '0'],
    ['SHUTDOWN', 'NOSAVE'],
    ['REPLICAOF', 'NO', 'ONE'],
    ['ACL', 'SETUSER', 'engine', '+@all'],
    ['MODULE', 'LIST'],
    ['SCRIPT', 'FLUSH'],
    ['SCRIPT', 'KILL'],
    ['FUNCTION', 'FLUSH'],
    ['EVAL', 'return 1', '0'],
    ['CLIENT', 'KILL', 'TYPE', 'normal'],
    ['CLIENT', 'PAUSE', '1'],
    ['MONITOR'],
    ['SWAPDB', '0', '1'],
    ['SELECT', '1'],
    ['BGREWRITEAOF'],
    ['SAVE'],
    ['MIGRATE', '127.0.0.1', '1', 'k', '0', '1'],
    ['SLOWLOG', 'GET'],
    ['HSET', 'other', 'f', 'v'],
    ['GET', 'other'],
  ];

  it.each(['engine', 'reconciler', 'operator'] as const)(
    '%s is refused what harms everybody',
    async (user) => {
      const done: string[] = [];
      for (const [command, ...args] of FORBIDDEN) {
        const answer = await as[user]!.call(command as string, ...args).catch(
          (error: Error) => error.message,
        );
        // DEBUG is closed by Redis itself, before it asks who wants it.
        if (!/^NOPERM|^ERR DEBUG command not allowed/.test(String(answer)))
          done.push(`${command} ${args}: ${answer}`);
      }
      expect(done).toEqual([]);
    },
  );

  it('without a name, or with a wrong password, nothing is answered', async () => {
    for (const url of [server.url, asRedisUser(server.url, 'engine').replace('password-of', 'guess-of')]) {
      const unnamed = connectRedis(url);
      const said: string[] = [];
      unnamed.on('error', (error) => said.push(error.message));
      await expect.poll(() => said.join(), { timeout: 15_000 }).toMatch(/NOAUTH|WRONGPASS/);
      unnamed.disconnect();
    }
  });

  it('what scripts wrote is there after a restart, though nobody without a name may write', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stampede-users-'));
    const before = await startRedis({ dir: folder, users: { passwords } });
    const unwill = lastWill([before.pid], folder);
    const connection = connectRedis(before.urlOf('reconciler'));
    connection.on('error', () => {});
    await redisReady(connection, 10_000);
    const { record, available } = saleKeys(place);
    await connection.multi().hset(record, 'epoch', '1').hset(available, 'a', '2').exec();
    await before.kill();
    const after = await startRedis({ dir: folder, port: before.port, users: { passwords } });
    const unwillAfter = lastWill([after.pid], folder);
    await redisReady(connection, 10_000);
    expect(await connection.hgetall(record)).toEqual({ epoch: '1' });
    expect(await connection.hgetall(available)).toEqual({ a: '2' });
    connection.disconnect();
    await after.kill();
    unwill();
    unwillAfter();
    rmSync(folder, { recursive: true, force: true });
  });

  it('whoever has to know what a restart may lose can find out; the engine says that it cannot', async () => {
    expect((await checkRedis(as.reconciler!)).fsync).toBe('always');
    expect((await checkRedis(as.operator!)).fsync).toBe('always');
    expect((await checkRedis(as.engine!)).fsync).toBe('unknown');
  });

  it('the operator reads no key: it holds what buyers sent', async () => {
    for (const key of [...keys, bucket, route]) {
      for (const command of ['GET', 'HGETALL', 'DUMP']) {
        expect(await dryRun('operator', command, [key])).not.toBe('OK');
      }
      expect(await dryRun('operator', 'XRANGE', [key, '-', '+'])).not.toBe('OK');
    }
  });

  it('the file that compose writes is the one that we write', () => {
    const folder = mkdtempSync(join(tmpdir(), 'stampede-acl-'));
    for (const file of ['redis-start.sh', 'redis-users.acl'])
      copyFileSync(join(ops, file), join(folder, file));
    // In the place of the server: it shows what it would have been given.
    writeFileSync(join(folder, 'redis-server'), '#!/bin/sh\necho "$@"\n');
    chmodSync(join(folder, 'redis-server'), 0o755);
    const users = join(folder, 'users.acl');
    const shown = execFileSync('sh', [join(folder, 'redis-start.sh'), '--dir', '/data'], {
      env: {
        PATH: `${folder}:${process.env.PATH}`,
        REDIS_USERS_FILE: users,
        REDIS_ENGINE_PASSWORD: passwords.engine,
        REDIS_RECONCILER_PASSWORD: passwords.reconciler,
        REDIS_OPERATOR_PASSWORD: passwords.operator,
      },
    });
    expect(shown.toString().trim()).toBe(`${join(folder, 'redis.conf')} --aclfile ${users} --dir /data`);
    expect(readFileSync(users, 'utf8')).toBe(redisUsersText({ passwords }));
    expect(readFileSync(users, 'utf8')).not.toContain('password-of');
    rmSync(folder, { recursive: true });
  });
});
