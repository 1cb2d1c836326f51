import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Summary } from '../../bench/stampede/summary.ts';
import { dataFolder, type RunningStack, startStack } from './support/stack.ts';

const RUNS = Number(process.env.E2E_STAMPEDE_RUNS ?? 3);
const script = fileURLToPath(new URL('../../dist/bench/stampede.js', import.meta.url));
const folder = dataFolder();
let stack: RunningStack;

beforeAll(async () => {
  stack = await startStack(folder.path);
});

afterAll(async () => {
  await stack.stop();
  folder.remove();
});

test(`2,000 buyers on 300 connections for 100 units of two SKUs, ${RUNS} times: exactly 100 get them`, async () => {
  for (let run = 1; run <= RUNS; run += 1) {
    const args = ['--buyers', '2000', '--units', '100', '--skus', '2', '--connections', '300', '--json'];
    const env = { ...process.env, DATA_DIR: folder.path };
    const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], { env });
    const summary = JSON.parse(stdout) as Summary;
    expect(summary).toMatchObject({
      ...{ accepted: 100, sold_out: 1_900, replayed: 100, confirmed: 100, oversold: 0, balanced: true },
      ...{ other: {}, unanswered: 0, broken: [] },
    });
    // The same from the ledger's own rows.
    const rows = await stack.sql(
      `SELECT k.sku, k.total::int, k.reserved::int, k.sold::int,
              (SELECT count(DISTINCT o.buyer)::int FROM orders o WHERE o.sale_no = s.sale_no) AS buyers,
              (SELECT sum(i.qty)::int FROM orders o JOIN order_items i ON i.order_id = o.id
                WHERE o.sale_no = s.sale_no AND i.sku = k.sku AND o.state = 'confirmed') AS in_orders
         FROM sales s JOIN skus k USING (sale_no) WHERE s.id = $1 ORDER BY k.sku`,
      [summary.sale_id],
    );
    const counts = { total: 100, reserved: 0, sold: 100, buyers: 100, in_orders: 100 };
    expect(rows).toEqual([
      { sku: 'sku-1', ...counts },
      { sku: 'sku-2', ...counts },
    ]);
  }
}, 600_000);

test('a wrong option ends with exit code 2, an engine that is not there with 1', async () => {
  const run = promisify(execFile);
  await expect(run(process.execPath, [script, '--buyers', 'x'])).rejects.toMatchObject({ code: 2 });
  const env = { ...process.env, JWT_SECRET: 'any' };
  const args = [script, '--url', 'http://127.0.0.1:1', '--buyers', '1'];
  await expect(run(process.execPath, args, { env })).rejects.toMatchObject({ code: 1 });
});
