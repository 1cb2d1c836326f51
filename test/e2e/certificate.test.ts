/** A sale on a running stack, sold, closed and certified by the command, and verified from outside. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inParallel } from '../../bench/stampede/api.ts';
import { runningLedger } from '../../platform/local/running-stack.ts';
import { loadState } from '../../platform/local/state.ts';
import { eventually } from './support/books.ts';
import { checkoutBody, createSale } from './support/buyers.ts';
import { dataFolder, type RunningStack, startStack } from './support/stack.ts';

const PATIENCE_MS = 60_000;
const UNITS = 12;

const folder = dataFolder();
let stack: RunningStack;
beforeAll(async () => {
  stack = await startStack(folder.path);
});
afterAll(async () => {
  await stack.stop();
  folder.remove();
});

/** As `npx stampede` runs it. */
async function stampede(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { DATABASE_URL: _, REDIS_URL: __, ...env } = process.env;
  const child = spawn(process.execPath, ['scripts/stampede.mjs', ...args], {
    env: { ...env, DATA_DIR: folder.path, NO_COLOR: '1' },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

test('is certified once nothing can come any more, and everybody can check it', async () => {
  const sale = await createSale(stack, 'certified', UNITS);
  const buy = (n: number) =>
    stack.api.call('POST', '/v1/checkout', {
      token: stack.api.token(`certified-${n}`, 'buyer'),
      key: `certified-purchase-${n}`,
      body: {
        ...checkoutBody(sale),
        payment_method: { type: 'card', token: n % 5 ? 'pm_ok' : 'pm_declined' },
      },
    });
  await inParallel(
    Array.from({ length: UNITS }, (_, n) => n),
    6,
    buy,
  );
  const file = join(folder.path, 'sale.jsonl.gz');
  const early = await stampede('certificate', sale.id, '--out', file);
  expect([early.code, early.err]).toEqual([1, expect.stringContaining('not_closed')]);

  const states = () =>
    stack.sql<{ state: string; captured: boolean; n: number }>(
      `SELECT o.state, a.state = 'captured' AS captured, count(*)::int AS n FROM orders o JOIN sales s USING (sale_no)
        JOIN attempts a ON a.order_id = o.id WHERE s.id = $1 GROUP BY 1, 2`,
      [sale.id],
    );
  await eventually('orders paid', PATIENCE_MS, states, (rows) => rows.some((r) => r.captured && r.n === 9));
  // Whoever was declined may still come back with another card; here nobody does.
  const { body } = await stack.api.call('GET', `/v1/admin/orders?sale_id=${sale.id}&state=reserved`, {
    token: stack.admin,
  });
  for (const { id, buyer } of body.orders as { id: string; buyer: string }[]) {
    await stack.api.call('POST', `/v1/orders/${id}/cancel`, {
      token: stack.api.token(buyer, 'buyer'),
      body: {},
    });
  }
  await stack.api.call('POST', `/v1/admin/sales/${sale.id}/close`, { token: stack.admin, body: {} });
  const endpoint = () =>
    stack.api.call('GET', `/v1/admin/sales/${sale.id}/certificate`, { token: stack.admin });
  const told = await eventually('certificate', PATIENCE_MS, endpoint, ({ status }) => status === 200);

  const made = await stampede('certificate', sale.id, '--out', file);
  expect([made.code, made.err]).toEqual([0, expect.stringContaining(`${file}: `)]);
  const text = gunzipSync(readFileSync(file)).toString();
  const { made_at: _, ...first } = JSON.parse(text.split('\n', 1)[0]!);
  expect(told.body.certificate).toMatchObject(first);
  expect(text).not.toMatch(/certified-\d|pm_ok|Main St/);

  const true_ = await stampede('verify', file, '--final', '--database', runningLedger(folder.path) ?? '');
  expect([true_.code, true_.err]).toEqual([0, '']);
  expect(true_.out).toContain('The certificate is true.');
  const { code, out } = await stampede('verify', file, '--json');
  expect([code, JSON.parse(out)]).toMatchObject([0, { ok: true, orders: UNITS, violations: {} }]);

  const forged = join(folder.path, 'forged.jsonl.gz');
  writeFileSync(forged, gzipSync(text.replace('{"amount":', '{"amount":1')));
  const false_ = await stampede('verify', forged);
  expect([false_.code, false_.out]).toEqual([1, expect.stringMatching(/WRONG {2}chain[\s\S]*NOT true/)]);
  expect((await stampede('verify', join(folder.path, 'nowhere'))).code).toBe(2);
  expect((await stampede('verify')).code).toBe(2);
  expect((await stampede('certificate', 'nowhere', '--out', '-')).code).toBe(1);
  expect((await stampede('fly')).code).toBe(2);
});

test('the audit has found nothing', async () => {
  const metrics = await (
    await fetch(`http://127.0.0.1:${loadState(folder.path).ports.reconciler}/metrics`)
  ).text();
  const found = [...metrics.matchAll(/^stampede_audit_violations\{check="(\w+)"\} (\d+)/gm)];
  expect(found.map(([, check, n]) => [check, n])).toEqual(found.map(([, check]) => [check, '0']));
  expect(found.length).toBe(9);
});
