import { afterAll, expect, test } from 'vitest';
import { freePort } from '../../platform/local/ports.ts';
import { expectBooksInOrder, expectReplays } from './support/books.ts';
import { buyAll, buyersOf, checkoutBody, createSale } from './support/buyers.ts';
import { dataFolder, type RunningStack, startStack } from './support/stack.ts';

const folder = dataFolder();
let stack: RunningStack | undefined;

afterAll(async () => {
  await stack?.stop();
  folder.remove();
});

test('kill -9 of everything in mid-sale, three times: every acknowledged order is there, and no unit sold twice', async () => {
  const settings = { PORT: String(await freePort()) };
  stack = await startStack(folder.path, settings);
  const sale = await createSale(stack, 'killed', 1_500, ['first', 'second']);
  const buyers = buyersOf(sale, 2_500);

  const kills = [200, 600, 1_000];
  const restarts: Promise<void>[] = [];
  let restarting = false;
  const restart = async () => {
    restarting = true;
    await stack!.killAll();
    stack = await startStack(folder.path, settings);
    restarting = false;
  };
  const finals = await buyAll(stack.api, sale, buyers, {
    lanes: 40,
    patience_ms: 90_000,
    on_accepted(count) {
      if (restarting || count < (kills[0] ?? Number.POSITIVE_INFINITY)) return;
      kills.shift();
      restarts.push(restart());
    },
  });
  await Promise.all(restarts);

  expect(restarts).toHaveLength(3);
  expect(finals.some(({ lost }) => lost > 0)).toBe(true);
  expect(finals.filter(({ status }) => status === 201)).toHaveLength(sale.units);
  expect(finals.filter(({ code }) => code === 'sold_out' || code === 'temporarily_held')).toHaveLength(1_000);
  // Payments that were under way when everything died are looked up after their lease, and not before.
  await expectBooksInOrder(stack, sale, finals, 120_000);
  await expectReplays(stack, finals, checkoutBody(sale));
}, 300_000);
