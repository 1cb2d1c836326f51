import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectBooksInOrder, expectReplays } from './support/books.ts';
import { buyAll, buyersOf, checkoutBody, createSale } from './support/buyers.ts';
import { dataFolder, type RunningStack, startStack } from './support/stack.ts';

const folder = dataFolder();
let stack: RunningStack;

beforeAll(async () => {
  stack = await startStack(folder.path);
});

afterAll(async () => {
  await stack.stop();
  folder.remove();
});

test('Redis killed with -9 under load, three times: refusals say when to come back, then it sells on; nothing is lost or doubled', async () => {
  const sale = await createSale(stack, 'redis-killed', 2_000);
  const kills = [300, 800, 1_300];
  const finals = await buyAll(stack.api, sale, buyersOf(sale, 3_000), {
    lanes: 40,
    patience_ms: 60_000,
    on_accepted(count) {
      if (count < (kills[0] ?? Number.POSITIVE_INFINITY)) return;
      kills.shift();
      stack.kill('Redis');
    },
  });

  expect(kills).toEqual([]);
  expect(finals.filter(({ status }) => status === 201)).toHaveLength(sale.units);
  const refusals = finals.flatMap(({ refusals }) => refusals);
  expect(refusals.length).toBeGreaterThan(0);
  for (const refusal of refusals) {
    expect(refusal).toMatchObject({ status: 503, retry_after: expect.stringMatching(/^\d+$/) });
  }
  await expectBooksInOrder(stack, sale, finals);
  await expectReplays(stack, finals, checkoutBody(sale));
});
