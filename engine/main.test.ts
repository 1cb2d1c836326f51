import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testDatabase } from '../test/support/postgres.ts';
import { type OwnRedis, startOwnRedis } from '../test/support/redis.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
let redis: OwnRedis;
let evicting: OwnRedis;
let env: Record<string, string>;

beforeAll(async () => {
  redis = await startOwnRedis();
  evicting = await startOwnRedis({ maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' });
  env = {
    HOST: '127.0.0.1',
    PORT: String(await freePort()),
    REDIS_URL: redis.url,
    DATABASE_URL: await testDatabase(),
    JWT_SECRET: 'a-secret-of-this-test-that-is-long-enough',
    PSP_SANDBOX_SECRET: 'sandbox-secret',
    LOG_LEVEL: 'warn',
  };
});
afterAll(async () => {
  await redis.stop();
  await evicting.stop();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

type Run = { child: ChildProcess; output: () => string; exit: Promise<number | null> };

function run(change: Record<string, string | undefined> = {}): Run {
  const child = fork(MAIN, {
    execArgv: ['--import', 'tsx'],
    env: { PATH: process.env.PATH, ...env, ...change },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      text += chunk;
    });
  }
  return { child, output: () => text, exit: once(child, 'exit').then(([code]) => code as number | null) };
}

async function ready({ child, exit, output }: Run): Promise<void> {
  const said = await Promise.race([once(child, 'message').then(([message]) => message), exit]);
  if (said !== 'ready') throw new Error(output());
}

describe('a start that cannot be', () => {
  it.each([
    [{ PORT: 'http' }, /^PORT must be a port from 1 to 65535 \(it is "http"\)\n$/],
    [{ REDIS_URL: undefined }, /^REDIS_URL must be set.*\n$/],
    [{ DATABASE_URL: undefined }, /^DATABASE_URL must be set.*\n$/],
    [{ JWT_SECRET: undefined }, /^JWT_SECRET or JWT_JWKS_URL must be set.*\n$/],
    [{ RATE_LIMIT_IP: 'many' }, /^RATE_LIMIT_IP must be.*\n$/],
    [{ HOST: '192.0.2.1' }, /^PORT \d+ on 192\.0\.2\.1 cannot be listened on.*\n$/],
  ])('%j: one line, exit code 1', async (change, line) => {
    const { exit, output } = run(change);
    expect(await exit).toBe(1);
    expect(output()).toMatch(line);
  });

  it('a Redis that may evict is refused', async () => {
    const { exit, output } = run({ REDIS_URL: evicting.url });
    expect(await exit).toBe(1);
    expect(output()).toMatch(/noeviction/);
    expect(output().trim().split('\n')).toHaveLength(1);
  });
});

describe('the process', () => {
  it('says when it is ready, serves, and ends with 0 on SIGTERM', async () => {
    const engine = run();
    await ready(engine);
    const url = `http://127.0.0.1:${env.PORT}`;
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/nodejs_eventloop_lag/);
    engine.child.kill('SIGTERM');
    expect(await engine.exit).toBe(0);
    expect(engine.output()).toBe('');
  });

  it('starts without a ledger, and ends as fast', async () => {
    const engine = run({ DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none' });
    await ready(engine);
    expect((await fetch(`http://127.0.0.1:${env.PORT}/readyz`)).status).toBe(200);
    const began_ms = performance.now();
    engine.child.kill('SIGTERM');
    expect(await engine.exit).toBe(0);
    expect(performance.now() - began_ms).toBeLessThan(3_000);
  });

  it('waits for a Redis that comes later, not ready meanwhile', async () => {
    await redis.kill();
    const engine = run();
    const url = `http://127.0.0.1:${env.PORT}/readyz`;
    const status = () =>
      fetch(url).then(
        (response) => response.status,
        () => 0,
      );
    await expect.poll(status, { timeout: 15_000 }).toBe(503);
    await redis.start();
    await ready(engine);
    expect(await status()).toBe(200);
    engine.child.kill('SIGTERM');
    expect(await engine.exit).toBe(0);
  });

  it('does not outlive its supervisor', async () => {
    const engine = run();
    await ready(engine);
    engine.child.disconnect();
    expect(await engine.exit).toBe(0);
  });
});
