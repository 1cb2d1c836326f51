import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { connect } from '../lua/testing/sale.ts';
import { freePort } from '../platform/local/ports.ts';
import type { Pool } from '../platform/postgres.ts';
import { stateOf, testLedger } from '../test/support/ledger.ts';
import { type Rig, rig } from '../test/support/reconciler.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let redis: Redis;
let process_: ChildProcess;
let port: number;

async function startReconciler(): Promise<ChildProcess> {
  port = await freePort();
  const env = {
    ...process.env,
    REDIS_URL: inject('redisUrl'),
    DATABASE_URL: ledger.url,
    RECONCILER_PORT: String(port),
    PSP_SANDBOX_SECRET: 'nobody answers there',
    HOST: '127.0.0.1',
    LOG_LEVEL: 'warn',
  };
  const child = fork(new URL('./main.ts', import.meta.url), {
    env,
    execArgv: ['--import', 'tsx'],
    stdio: 'inherit',
  });
  await once(child, 'message');
  return child;
}

beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  redis = connect(inject('redisUrl'));
  process_ = await startReconciler();
});
afterAll(async () => {
  process_.kill('SIGKILL');
  redis.disconnect();
  await ledger.close();
});

const open = (sale: Rig) =>
  vi.waitFor(async () => expect(await sale.sale()).toMatchObject({ loaded: true, seq: 1 }), {
    timeout: 5_000,
  });
const get = async (path: string) => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, text: await response.text() };
};

describe('the reconciler as a process', () => {
  test('opens a sale, ingests what is taken, lets it expire, gives it back, and tells of it', async () => {
    const sale = await rig({ db, redis, items: [{ sku: 'a', qty: 5 }], hold_ms: 300 });
    await open(sale);
    const { order_ids } = await sale.reserve([{ lines: [{ sku: 'a', qty: 5 }] }]);
    await vi.waitFor(async () => expect(await stateOf(db, order_ids[0])).toBe('expired'), { timeout: 5_000 });
    await vi.waitFor(async () => expect((await sale.reserve([{}])).statuses).toBe('a'), { timeout: 5_000 });
    await vi.waitFor(async () => {
      const audit = await sale.audit();
      expect(audit).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
      expect(audit.applied_n).toBeGreaterThan(0);
    });
    expect((await get('/readyz')).status).toBe(200);
    expect((await get('/livez')).status).toBe(200);
    expect((await get('/nothing')).status).toBe(404);
    const { text } = await get('/metrics');
    for (const line of [
      'stampede_expiries_total 1',
      'stampede_audit_imbalance 0',
      'stampede_fenced_sales 0',
      'stampede_oversell_prevented_total 0',
      'stampede_ingest_orders_total{result="reserved"}',
      'stampede_movements_sealed_total',
      'stampede_stream_lag_entries 0',
      'stampede_active_reservations',
      'stampede_stuck_orders',
      'stampede_ingest_seconds_count',
    ]) {
      expect(text).toContain(line);
    }
  });

  test('ends within its time on SIGTERM, code 0, and another takes over', async () => {
    const sale = await rig({ db, redis });
    await open(sale);
    const begun = performance.now();
    process_.kill('SIGTERM');
    expect(await once(process_, 'exit')).toEqual([0, null]);
    expect(performance.now() - begun).toBeLessThan(5_000);
    const { order_ids } = await sale.reserve([{}, {}]);
    process_ = await startReconciler();
    await vi.waitFor(async () => expect(await stateOf(db, order_ids[1])).toBe('reserved'), {
      timeout: 5_000,
    });
  });

  test('ends when its supervisor is gone', async () => {
    process_.disconnect();
    expect(await once(process_, 'exit')).toEqual([0, null]);
    process_ = await startReconciler();
  });

  test('says in one line what is wrong with its environment', async () => {
    const env = { ...process.env, REDIS_URL: '', DATABASE_URL: '' };
    const child = fork(new URL('./main.ts', import.meta.url), {
      env,
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    child.stderr?.on('data', (chunk) => {
      said += chunk;
    });
    expect(await once(child, 'exit')).toEqual([1, null]);
    expect(said).toMatch(/^REDIS_URL must be set.*\n$/);
  });
});
