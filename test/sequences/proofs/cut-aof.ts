/**
 * Hazard 10: a torn AOF. It is cut at every byte of its last transactions, and each time a Redis loads what is left:
 * always the state after a whole transaction, the last one that is there, and balanced; or it refuses to start.
 */
import { copyFileSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { saleKeys } from '../../../lua/keys.ts';
import { apply, fence, gate, reduce, reserve } from '../../../lua/scripts.ts';
import { batchOf, connect, openTestSale, openVerified, type TestSale } from '../../../lua/testing/sale.ts';
import { seeded } from '../../../payments/sandbox/seeded.ts';
import { hash16 } from '../../support/ledger.ts';
import { type BrokenRedis, type Proof, type ProofOptions, startBrokenRedis } from './own-redis.ts';

const UNITS = 1_000;
/** Bytes between two cuts where not every byte is asked for: a prime, so that cuts fall anywhere in a command. */
const STRIDE = 397;

type Stand = { bytes: number; digest: string; seq: number };

export type CutOptions = ProofOptions & {
  /** Each byte of them, with a real load each; else a cut every few hundred bytes and at both sides of every end. */
  every_byte: boolean;
};

/** `times`: transactions at the end of the AOF that are cut. */
export async function cutAof({ times, seed, every_byte, progress }: CutOptions): Promise<Proof> {
  const debug = { 'enable-debug-command': 'local' };
  const server = await startBrokenRedis(debug);
  const admin = connect(server.url);
  const sale = await openTestSale(admin, { tenant: 'default', items: [{ sku: 'a', qty: UNITS }, { sku: 'b', qty: UNITS }], limit: 50 }); // biome-ignore format: one line
  const file = aofFile(server);
  const stands: Stand[] = [];
  for (let i = 0; i <= times; i++) {
    if (i > 0) await transact(admin, sale, i, seeded(seed + i));
    const seq = await balanced(admin, sale);
    stands.push({ bytes: statSync(file).size, digest: await digestOf(admin), seq });
  }
  admin.disconnect();
  await server.kill();
  const whole = join(server.folder, 'whole.aof');
  copyFileSync(file, whole);

  const wrong: string[] = [];
  const first = stands[0].bytes;
  const last = stands[stands.length - 1].bytes;
  const cuts = every_byte ? range(first, last, 1) : someCuts(stands);
  let [loads, done] = [0, 0];
  for (const cut of cuts) {
    copyFileSync(whole, file);
    truncateSync(file, cut);
    const expected = stands.filter(({ bytes }) => bytes <= cut).at(-1) as Stand;
    try {
      await server.start();
      loads += 1;
      const redis = connect(server.url);
      const digest = await digestOf(redis);
      const seq = await balanced(redis, sale);
      redis.disconnect();
      if (digest !== expected.digest) wrong.push(`cut at byte ${cut}: at ${seq}, not ${expected.seq}`);
    } catch (error) {
      wrong.push(`cut at byte ${cut}: ${String(error)}`);
    }
    await server.kill();
    if (++done % 500 === 0) progress?.(`${done} of ${cuts.length} cuts`);
  }
  await server.close();
  return {
    what: 'AOF cut',
    done: { transactions: times, bytes: last - first, cuts: cuts.length, loads },
    wrong,
  };
}

/** Around every end of a transaction, and between. */
function someCuts(stands: readonly Stand[]): number[] {
  const cuts = new Set(range(stands[0].bytes, stands[stands.length - 1].bytes, STRIDE));
  for (const { bytes } of stands.slice(1)) for (const cut of [bytes - 1, bytes]) cuts.add(cut);
  return [...cuts].sort((a, b) => a - b);
}

const range = (from: number, to: number, step: number): number[] =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);

function aofFile(server: BrokenRedis): string {
  const folder = join(server.folder, 'appendonlydir');
  const name = readdirSync(folder).find((entry) => entry.endsWith('.incr.aof'));
  if (!name) throw new Error('no AOF');
  return join(folder, name);
}

async function digestOf(redis: Redis): Promise<string> {
  return String(await redis.call('DEBUG', 'DIGEST'));
}

/** Sequence, stream and counters belong together. Returns the sequence. */
async function balanced(redis: Redis, sale: TestSale): Promise<number> {
  const k = saleKeys(sale.token);
  const [seq, available, held, last] = await Promise.all([
    redis.hget(k.record, 'seq'),
    redis.hgetall(k.available),
    redis.hgetall(k.held),
    redis.xrevrange(k.stream, '+', '-', 'COUNT', 1),
  ]);
  if (last[0]?.[0] !== `${seq}-0`) throw new Error(`the record is at ${seq}, its stream at ${last[0]?.[0]}`);
  for (const sku of ['a', 'b']) {
    const units = Number(available[sku]) + Number(held[sku]);
    if (!(units <= UNITS && Number(available[sku]) >= 0 && Number(held[sku]) >= 0))
      throw new Error(`${sku}: available ${available[sku]}, held ${held[sku]}`);
  }
  return Number(seq);
}

/** Movement batches that a sale has applied. */
const applied = new WeakMap<TestSale, number>();

/** One transaction of the verb whose turn it is. */
async function transact(redis: Redis, sale: TestSale, turn: number, draw: () => number): Promise<void> {
  const now = Date.now();
  const id = hash16(`request-${turn}`);
  switch (turn % 10) {
    case 3: {
      const request = { id, fingerprint: id, request_id: `reduce-${turn}`, items: [{ sku: 'b', qty: 3 }] };
      await reduce(redis, sale.token, request, now);
      return;
    }
    case 5:
      await gate(redis, sale.token, { version: turn + 1, gate: 'open' });
      return;
    case 7: {
      const n = (applied.get(sale) ?? 0) + 1;
      applied.set(sale, n);
      const items = [{ sku: 'a', to_available: 1, from_held: 1 }];
      await apply(redis, sale.token, { n, items, buyers: [], earliest_ms: now });
      return;
    }
    case 8:
      await fence(redis, sale.token);
      return;
    case 9:
      sale.token = { ...sale.token, epoch: await openVerified(redis, sale.token, sale.route) };
      return;
    default: {
      const count = 1 + Math.floor(draw() * 4);
      const requests = Array.from({ length: count }, (_, i) => ({
        ...{ id: hash16(`${turn}-${i}`), fingerprint: hash16('f'), buyer: hash16(`buyer-${turn}-${i}`) },
        lines: [
          { sku: 'a', qty: 1 },
          { sku: 'b', qty: 2 },
        ],
      }));
      const times = { now_ms: now, not_after_ms: now + 60_000 };
      await reserve(redis, sale.token, batchOf(requests), times);
    }
  }
}
