import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dataFolder, type RunningStack, startStack } from './support/stack.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const folder = dataFolder();
let stack: RunningStack;

beforeAll(async () => {
  stack = await startStack(folder.path);
});

afterAll(async () => {
  await stack?.stop();
  folder.remove();
});

test('the five lines of the README work when pasted', () => {
  const block = readme.match(/## The API in five lines[\s\S]*?```sh\n([\s\S]*?)```/)?.[1] ?? '';
  expect(block.trim().split('\n')).toHaveLength(5);
  const script = block
    .replaceAll('localhost:3000', new URL(stack.url).host)
    .replaceAll(/^(curl .*)$/gm, '$1; echo');
  const lines = execFileSync('bash', ['-euc', script], { encoding: 'utf8' }).trim().split('\n');
  const [sale, order_id, order, canceled] = lines.map((line) =>
    line.startsWith('{') ? JSON.parse(line) : line,
  );
  expect(sale).toMatchObject({ id: 'demo', state: 'open' });
  expect(order_id).toMatch(/^[\w-]{32}$/);
  expect(order).toMatchObject({ order_id, sale_id: 'demo' });
  expect(['reserved', 'authorized', 'confirmed']).toContain(order.state);
  expect(canceled).toMatchObject({ order_id, state: 'canceled' });
});
