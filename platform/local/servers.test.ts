import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { testDatabase } from '../../test/support/postgres.ts';
import { startOwnRedis, testRedis } from '../../test/support/redis.ts';
import { mayEnter } from './postgres-account.ts';
import { removePostgres, startPostgres } from './postgres-server.ts';
import { describeProcess } from './processes.ts';

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('the Redis of the local stack', () => {
  test('writes to disk before it answers, never evicts, listens on loopback only', async () => {
    const client = new Redis(testRedis().url);
    const settings = await client.config(
      'GET',
      'append*',
      'maxmemory-policy',
      'no-appendfsync-on-rewrite',
      'bind',
      'save',
    );
    client.disconnect();
    const pairs = settings as string[];
    const of = (name: string) => pairs[pairs.indexOf(name) + 1];
    expect(of('appendonly')).toBe('yes');
    expect(of('appendfsync')).toBe('always');
    expect(of('no-appendfsync-on-rewrite')).toBe('no');
    expect(of('maxmemory-policy')).toBe('noeviction');
    expect(of('bind')).toBe('127.0.0.1');
    expect(of('save')).toBe('');
  });

  test('has everything it acknowledged after kill -9', async () => {
    const redis = await startOwnRedis();
    try {
      const client = new Redis(redis.url, { retryStrategy: () => 20 });
      client.on('error', () => {});
      for (let round = 1; round <= 5; round += 1) {
        expect(await client.incr('rounds')).toBe(round);
        await redis.kill();
        expect(describeProcess(redis.pid())).toBeUndefined();
        await redis.start();
      }
      client.disconnect();
    } finally {
      await redis.stop();
    }
  });
});

describe('the Postgres of the local stack', () => {
  test('gives each caller a database of its own', async () => {
    const [first, second] = await Promise.all([testDatabase(), testDatabase()]);
    await query(first, 'CREATE TABLE only_here (id int)');
    await expect(query(second, 'SELECT * FROM only_here')).rejects.toThrow(/does not exist/);
  });

  test('recovers what it committed after kill -9 of the postmaster, under a pid file that names another process', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'stampede-postgres-'));
    execFileSync('chmod', ['0711', dir]);
    try {
      let server = await startPostgres({ dir });
      await query(server.url, 'CREATE TABLE kept (id int)');
      for (let round = 1; round <= 3; round += 1) {
        await query(server.url, `INSERT INTO kept VALUES (${round})`);
        await server.kill();
        // What a reused pid looks like: this very test runs under the id in the file.
        const file = join(dir, 'cluster/data/postmaster.pid');
        const text = execFileSync('cat', [file], { encoding: 'utf8' });
        writeFileSync(file, text.replace(/^\d+/, String(process.ppid)));
        server = await startPostgres({ dir });
        expect(await query(server.url, 'SELECT count(*)::int AS n FROM kept')).toEqual([{ n: round }]);
      }
      expect(await query(server.url, 'SHOW synchronous_commit')).toEqual([{ synchronous_commit: 'on' }]);
      expect(await query(server.url, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
      await expect(query(server.url.replace(/:[^:@]+@/, ':wrong@'), 'SELECT 1')).rejects.toThrow(/password/);
      await server.stop();
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  test('runs in a folder that only its user may enter', async () => {
    const closed = mkdtempSync(join(tmpdir(), 'stampede-closed-'));
    execFileSync('chmod', ['0700', closed]);
    const server = await startPostgres({ dir: join(closed, 'postgres'), settings: { fsync: 'off' } });
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await server.stop();
    removePostgres(join(closed, 'postgres'));
    rmSync(closed, { recursive: true, force: true });
  });
});

test('a folder of root is closed to an account without rights', () => {
  if (process.getuid?.() !== 0) return;
  const closed = mkdtempSync(join(tmpdir(), 'stampede-closed-'));
  expect(mayEnter({ uid: 65534, gid: 65534 }, closed)).toBe(false);
  expect(mayEnter({ uid: 65534, gid: 65534 }, '/')).toBe(true);
  rmSync(closed, { recursive: true });
});
