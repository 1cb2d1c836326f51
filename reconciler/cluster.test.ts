/**
 * A real Redis Cluster of three masters: whatever a sale does stays within one slot, and a sale that is moved to another
 * master while it sells is closed there until it has been verified, and loses nothing.
 */
import { readdirSync } from 'node:fs';
import { Cluster, type Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { expireDue } from '../ledger/orders/expire-due.ts';
import { wantRebuild } from '../ledger/rebuild/begin-rebuild.ts';
import { saleKeys } from '../lua/keys.ts';
import { loadScript } from '../lua/registry.ts';
import { reduce } from '../lua/scripts.ts';
import { freePort } from '../platform/local/ports.ts';
import type { Pool } from '../platform/postgres.ts';
import { connectRedis, RedisUnavailable, redisReady } from '../platform/redis.ts';
import { hash16, pastDeadline, setHeartbeat, testLedger } from '../test/support/ledger.ts';
import { type Rig, rig } from '../test/support/reconciler.ts';
import { type OwnRedis, startOwnRedis } from '../test/support/redis.ts';
import { placeOf } from './sale-place.ts';

const SLOTS = [
  [0, 5_460],
  [5_461, 10_922],
  [10_923, 16_383],
] as const;
const PATIENCE = { timeout: 60_000, interval: 50 };

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let masters: OwnRedis[];
let nodes: Redis[];
let cluster: Cluster;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  const bus_ports = await Promise.all(SLOTS.map(() => freePort()));
  masters = await Promise.all(
    bus_ports.map((port) => startOwnRedis({ 'cluster-enabled': 'yes', 'cluster-port': String(port) })),
  );
  nodes = masters.map(({ url }) => connectRedis(url));
  for (const node of nodes) node.on('error', () => {});
  await Promise.all(nodes.map((node) => redisReady(node, 10_000)));
  await Promise.all(
    nodes.map((node, i) => node.call('CLUSTER', 'ADDSLOTSRANGE', ...(SLOTS[i] as [number, number]))),
  );
  for (const i of [1, 2]) {
    await nodes[0].call('CLUSTER', 'MEET', '127.0.0.1', masters[i].port, bus_ports[i]);
  }
  await vi.waitFor(async () => {
    for (const node of nodes) {
      expect(await node.cluster('INFO')).toMatch(/cluster_state:ok[\s\S]*cluster_known_nodes:3/);
    }
  }, PATIENCE);
  // Scripts belong to no slot: whoever runs a cluster has them on every master.
  const verbs = readdirSync(new URL('../lua/', import.meta.url)).filter((file) => file.endsWith('.lua'));
  for (const node of nodes) {
    for (const verb of verbs) await node.script('LOAD', loadScript(verb.slice(0, -4)).source);
  }
  cluster = new Cluster(
    masters.map(({ port }) => ({ host: '127.0.0.1', port })),
    { redisOptions: { protocol: 2, disableClientInfo: true }, slotsRefreshTimeout: 10_000 },
  );
  cluster.on('error', () => {});
  await vi.waitFor(() => expect(cluster.status).toBe('ready'), PATIENCE);
}, 120_000);
afterAll(async () => {
  cluster.disconnect();
  for (const node of nodes) node.disconnect();
  await Promise.all(masters.map((master) => master.stop()));
  await ledger.close();
});
beforeEach(() => setHeartbeat(db));

/** A sale on that cluster, open. */
async function openSale(): Promise<Rig> {
  const sale = await rig({ db, redis: cluster as unknown as Redis, limit: 50 });
  await sale.settle();
  return sale;
}

async function slotOf(sale: Rig): Promise<number> {
  return Number(await nodes[0].call('CLUSTER', 'KEYSLOT', saleKeys(placeOf(await sale.sale())).record));
}

const masterOf = (slot: number): number => SLOTS.findIndex(([, last]) => slot <= last);

async function balances(sale: Rig): Promise<void> {
  expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' }, fenced_reason: null });
}

test('every verb of a sale keeps to one slot, on every master', async () => {
  const seen = new Set<number>();
  while (seen.size < SLOTS.length) {
    const sale = await openSale();
    seen.add(masterOf(await slotOf(sale)));
    const both = [
      { sku: 'a', qty: 1 },
      { sku: 'b', qty: 2 },
    ];
    const { order_ids } = await sale.reserve([{ key: 'k', buyer: 'x', lines: both }, {}]);
    await sale.settle();
    await pastDeadline(db, [order_ids[1]]);
    await expireDue(db, { limit: 10 });
    await sale.release();
    const row = await sale.sale();
    const request = {
      id: hash16('r'),
      request_id: 'r',
      fingerprint: hash16('f'),
      items: [{ sku: 'a', qty: 3 }],
    };
    expect(await reduce(sale.deps.redis, placeOf(row), request, Date.now())).toMatchObject({ kind: 'taken' });
    await sale.settle();
    await balances(sale);
    await wantRebuild(db, sale.sale_no, { reason: 'operator', actor: 'test' });
    sale.follower.lookAgain();
    await sale.settle();
    expect((await sale.sale()).generation).toBe(2);
    expect(await sale.reserve([{ key: 'k', buyer: 'x', lines: both }])).toEqual({
      ...{ statuses: 'r', order_ids: [order_ids[0]] },
    });
    await balances(sale);
  }
});

test('a sale that is moved to another master while it sells is closed there, verified, and sells on', async () => {
  const sale = await openSale();
  const slot = await slotOf(sale);
  const [from, to] = [masterOf(slot), (masterOf(slot) + 1) % SLOTS.length];
  const taken = new Map<string, string>();
  let moving = true;
  let closed = 0;
  const selling = (async () => {
    for (let i = 0; moving || closed === 0; i++) {
      const request = { key: `k${i}`, buyer: `b${i % 7}` };
      try {
        const { statuses, order_ids, refused } = await sale.reserve([request]);
        if (statuses === 'a') taken.set(request.key, order_ids[0]);
        if (refused) closed += 1;
      } catch (error) {
        // In the middle of the move a call that needs several keys is told to come again.
        if (!(error instanceof RedisUnavailable)) throw error;
      }
    }
  })();
  await vi.waitFor(() => expect(taken.size).toBeGreaterThan(10), PATIENCE);
  await move(slot, from, to);
  moving = false;
  await selling;

  await sale.settle();
  await balances(sale);
  // What was taken is all there, and nothing else.
  for (const [key, id] of taken) {
    const buyer = `b${Number(key.slice(1)) % 7}`;
    expect(await sale.reserve([{ key, buyer }])).toEqual({ statuses: 'r', order_ids: [id] });
  }
  const { rows } = await db.query({
    text: 'SELECT id FROM orders WHERE sale_no = $1',
    values: [sale.sale_no],
  });
  expect(rows.map(({ id }) => id).sort()).toEqual([...taken.values()].sort());
  expect((await sale.reserve([{}])).statuses).toBe('a');
});

/** As redis-cli --cluster reshard does it. */
async function move(slot: number, from: number, to: number): Promise<void> {
  const id = async (node: number) => String(await nodes[node].call('CLUSTER', 'MYID'));
  const [from_id, to_id] = [await id(from), await id(to)];
  await nodes[to].call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from_id);
  await nodes[from].call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to_id);
  for (;;) {
    const keys = (await nodes[from].call('CLUSTER', 'GETKEYSINSLOT', slot, 2)) as string[];
    if (keys.length === 0) break;
    await nodes[from].call('MIGRATE', '127.0.0.1', masters[to].port, '', 0, 10_000, 'KEYS', ...keys);
  }
  for (const node of [to, from, ...SLOTS.keys()]) {
    await nodes[node].call('CLUSTER', 'SETSLOT', slot, 'NODE', to_id);
  }
}
