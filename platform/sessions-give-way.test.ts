import { existsSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { afterEach, expect, test, vi } from 'vitest';
import { testDatabase } from '../test/support/postgres.ts';
import { createPool, type Pool } from './postgres.ts';
import { isSession, sessionsGiveWay } from './sessions-give-way.ts';

let pool: Pool | undefined;
afterEach(async () => {
  await pool?.end();
  pool = undefined;
});

async function sessionsOf(nice: number, count: number): Promise<number[]> {
  const opened = createPool({
    ...{ url: await testDatabase(), max: count, application_name: 'test', on_error: () => {} },
  });
  pool = opened;
  sessionsGiveWay(opened, nice);
  const sql = 'SELECT pg_backend_pid() AS pid, pg_sleep(0.01)';
  const answers = await Promise.all(Array.from({ length: count }, () => opened.query<{ pid: number }>(sql)));
  return [...new Set(answers.map(({ rows }) => rows[0].pid))];
}

const sessionNice = (pid: number): number | undefined => {
  const file = `/proc/${pid}/autogroup`;
  return existsSync(file) ? Number(/nice (-?\d+)/.exec(readFileSync(file, 'utf8'))?.[1]) : undefined;
};

test.runIf(process.platform === 'linux')(
  'every session at a Postgres of this machine is as nice as it was told',
  async () => {
    const pids = await sessionsOf(7, 3);
    expect(pids).toHaveLength(3);
    for (const pid of pids) {
      await vi.waitFor(() => expect(getPriority(pid)).toBe(7), { timeout: 20_000 });
      await vi.waitFor(() => expect(sessionNice(pid) ?? 7).toBe(7), { timeout: 20_000 });
    }
  },
);

test('told nothing, they are as they were', async () => {
  const [pid] = await sessionsOf(0, 1);
  expect(getPriority(pid)).toBeLessThan(7);
});

test('a process that only has the number of a session is left alone', () => {
  expect(isSession('postgres: shop ledger 127.0.0.1(40312) idle', 40_312)).toBe(true);
  expect(isSession('postgres: shop ledger 127.0.0.1(40312) idle', 40_313)).toBe(false);
  expect(isSession('node engine.js (40312)', 40_312)).toBe(false);
});
