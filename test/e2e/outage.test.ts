import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectBooksInOrder, expectReplays } from './support/books.ts';
import {
  type Buyer,
  buyAll,
  buyersOf,
  checkoutBody,
  createSale,
  type Final,
  type Sale,
} from './support/buyers.ts';
import { childrenOf, dataFolder, type RunningStack, startStack } from './support/stack.ts';

/** How long the outage lasts; a minute where time is no matter. */
const OUTAGE_SECONDS = Number(process.env.E2E_OUTAGE_SECONDS ?? 10);
const BUYERS_A_SECOND = 50;

const folder = dataFolder();
let stack: RunningStack;

beforeAll(async () => {
  stack = await startStack(folder.path);
});

afterAll(async () => {
  await stack.stop();
  folder.remove();
});

test(`the reconciler stands still for ${OUTAGE_SECONDS} s under load: checkouts go on, the backlog drains after`, async () => {
  await outage('reconciler-stopped', async (during) => {
    const pid = stack.pidOf('reconciler');
    process.kill(pid, 'SIGSTOP');
    try {
      await during();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });
});

test(`Postgres stands still for ${OUTAGE_SECONDS} s under load: checkouts go on, orders stay readable, the backlog drains after`, async () => {
  await outage('postgres-stopped', async (during) => {
    // Its children, which serve the connections, first.
    const postmaster = stack.pidOf('Postgres');
    const pids = [...childrenOf(postmaster), postmaster];
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    try {
      await during();
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    }
  });
});

test('Postgres killed with -9 again and again under load: nothing is lost or doubled', async () => {
  await outage('postgres-killed', async (during) => {
    const killing = new AbortController();
    const killer = (async () => {
      while (!killing.signal.aborted) {
        // Each time it takes a little longer until it is started again.
        stack.kill('Postgres');
        await sleep(2_000, undefined, { signal: killing.signal }).catch(() => {});
      }
    })();
    await during();
    killing.abort();
    await killer;
  });
});

/** Sells before, during and after what `breaks` does, at a steady pace; then the books must be in order. */
async function outage(id: string, breaks: (during: () => Promise<void>) => Promise<void>): Promise<void> {
  const each = OUTAGE_SECONDS * BUYERS_A_SECOND;
  const sale = await createSale(stack, id, 3 * each);
  const buyers = buyersOf(sale, 3 * each);
  const finals: Final[] = await sellSteadily(sale, buyers.slice(0, BUYERS_A_SECOND));
  await breaks(async () => {
    const during = await sellSteadily(sale, buyers.slice(BUYERS_A_SECOND, BUYERS_A_SECOND + each));
    finals.push(...during);
    // Every one of them was accepted at the first try, and can read the order at once.
    expect(during.filter(({ status, lost }) => status !== 201 || lost > 0)).toEqual([]);
    const { buyer, order_id } = during.at(-1)!;
    const token = stack.api.token(buyer.sub, 'buyer');
    const order = await stack.api.call('GET', `/v1/orders/${order_id}`, { token });
    expect(order.status).toBe(200);
    expect(['reserved', 'authorized', 'confirmed']).toContain(order.body.state);
  });
  finals.push(
    ...(await sellSteadily(sale, buyers.slice(BUYERS_A_SECOND + each, 2 * BUYERS_A_SECOND + each))),
  );
  await expectBooksInOrder(stack, sale, finals, 90_000);
  await expectReplays(stack, finals, checkoutBody(sale));
}

async function sellSteadily(sale: Sale, buyers: readonly Buyer[]): Promise<Final[]> {
  const seconds: Promise<Final[]>[] = [];
  for (let from = 0; from < buyers.length; from += BUYERS_A_SECOND) {
    const now = buyers.slice(from, from + BUYERS_A_SECOND);
    seconds.push(buyAll(stack.api, sale, now, { lanes: 10, patience_ms: 20_000 }));
    await sleep(1_000);
  }
  return (await Promise.all(seconds)).flat();
}
