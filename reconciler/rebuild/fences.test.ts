/** What keeps a rebuild from being undone, and from undoing: each verb at the wrong moment. */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { beginRebuild } from '../../ledger/rebuild/begin-rebuild.ts';
import { withSealedSale } from '../../ledger/rebuild/seal-sale.ts';
import { type FollowedSale, followedSale } from '../../ledger/stream/cursor.ts';
import { issueEpoch } from '../../ledger/stream/issue-epoch.ts';
import { saleKeys } from '../../lua/keys.ts';
import { claim, type SwitchOver, stage, stageBegin, switchOver } from '../../lua/rebuild-scripts.ts';
import { readChunk, verifyOpen } from '../../lua/scripts.ts';
import { connect } from '../../lua/testing/sale.ts';
import type { Pool } from '../../platform/postgres.ts';
import { setHeartbeat, testLedger } from '../../test/support/ledger.ts';
import { type Rig, rig } from '../../test/support/reconciler.ts';
import { testRedis } from '../../test/support/redis.ts';
import { placeOf } from '../sale-place.ts';
import { rebuildSale } from './rebuild-sale.ts';
import { replayDays } from './stage-sale.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let redis: Redis;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  redis = connect(testRedis().url);
  await setHeartbeat(db);
});
afterAll(async () => {
  redis.disconnect();
  await ledger.close();
});

const WHY = { reason: 'operator', actor: 'test' };
let sale: Rig;
let row: FollowedSale;
beforeEach(async () => {
  sale = await rig({ db, redis });
  await sale.settle();
  row = await sale.sale();
});

const record = () => saleKeys(placeOf(row)).record;

async function look() {
  const chunk = await readChunk(redis, placeOf(row), { after_seq: row.seq, count: 1 });
  if (chunk.kind === 'missing') throw new Error('no record');
  return chunk;
}

describe('a verification that looked before a rebuild began', () => {
  test('and then asks the ledger for an epoch gets none, while the rebuild goes on', async () => {
    const { epoch: record_epoch, identity_now: identity, applied_n } = await look();
    await beginRebuild(db, sale.sale_no, WHY, { epoch: row.epoch, record_epoch });
    expect(
      await issueEpoch(db, sale.sale_no, { epoch: row.epoch, record_epoch, identity, applied_n }),
    ).toBeUndefined();
    const { epoch } = await sale.sale();
    expect(await issueEpoch(db, sale.sale_no, { epoch, record_epoch, identity, applied_n })).toBeUndefined();
  });

  test('and has its epoch already does not open the sale', async () => {
    const chunk = await look();
    const { epoch: record_epoch, identity_now: identity, applied_n } = chunk;
    const issued = await issueEpoch(db, sale.sale_no, {
      epoch: row.epoch,
      record_epoch,
      identity,
      applied_n,
    });
    if (!issued) throw new Error('no epoch');
    const seen = { epoch: issued.epoch, record_epoch };
    const begun = await beginRebuild(db, sale.sale_no, WHY, seen);
    expect(await claim(redis, { ...placeOf(row), epoch: begun?.epoch ?? 0 })).toMatchObject({
      kind: 'claimed',
      seq: chunk.seq,
    });
    expect(await verifyOpen(redis, placeOf(row), { ...chunk, old_epoch: record_epoch }, issued)).toBe(
      'changed',
    );
    expect((await sale.reserve([{}], { epoch: row.epoch })).refused).toBe('recovering');
  });
});

describe('a sale of this name that another ledger has made', () => {
  test('is not written over, whoever asks', async () => {
    await redis.hset(record(), 'route', randomBytes(6));
    const before = await redis.hgetallBuffer(record());
    expect(await rebuildSale(sale.deps, sale.sale_no, WHY)).toEqual({
      kind: 'refused',
      reason: 'foreign_record',
    });
    expect(await redis.hgetallBuffer(record())).toEqual(before);
  });
});

describe('staging and switching', () => {
  const days = replayDays(Date.now());
  const next = () => ({ ...placeOf(row), epoch: row.epoch + 1_000, generation: 2 });

  /** One SKU staged under generation 2, and what the switch is told of it. */
  async function staged(): Promise<SwitchOver> {
    const token = next();
    const claimed = await claim(redis, { ...placeOf(row), epoch: row.epoch + 1 });
    const begun = await stageBegin(redis, token, days);
    if (begun.kind !== 'begun' || claimed.kind !== 'claimed') throw new Error(begun.kind);
    for (const target of ['available', 'held'] as const) await stage(redis, token, target, ['a', '5']);
    await stage(redis, token, 'catalog', ['a', Buffer.from('x')]);
    await stage(redis, token, { day: days[2] as number }, [randomBytes(16), randomBytes(50)]);
    return {
      ...{ identity_now: begun.identity, old_seq: claimed.seq, start_seq: claimed.seq, applied_n: 0 },
      counts: { available: 1, held: 1, catalog: 1, buyers: 0 },
      days: days.map((day, i) => ({ day, records: i === 2 ? 1 : 0 })),
      fields: {
        ...{
          gate: row.gate,
          gate_version: row.gate_version,
          opens_at_ms: 0,
          closes_at_ms: 0,
          earliest_ms: 0,
        },
        ...{ hold_ms: row.hold_ms, limit: 0, salt: row.salt, route: row.route, currency: row.currency },
      },
    };
  }

  test('what is staged and intact is switched to, closed, and once', async () => {
    const over = await staged();
    expect(await switchOver(redis, next(), over)).toBe('switched');
    expect(await switchOver(redis, next(), over)).toBe('already');
    expect(await redis.hgetall(record())).toMatchObject({
      ...{ generation: '2', recovery: 'recovering', applied_n: '0', seq: String(over.start_seq + 1) },
    });
    expect(await redis.pttl(saleKeys(next()).available)).toBe(-1);
  });

  test('a switch that comes after a newer one changes nothing', async () => {
    const over = await staged();
    await redis.hset(record(), 'epoch', next().epoch + 1);
    const before = await redis.hgetallBuffer(record());
    expect(await switchOver(redis, next(), over)).toBe('late');
    expect(await redis.hgetallBuffer(record())).toEqual(before);
  });

  test('a take between drain and switch is not lost: the switch is refused', async () => {
    const over = await staged();
    // Somebody opened the sale in between, however that came about.
    await redis.hset(record(), 'recovery', 'open');
    expect((await sale.reserve([{}], { epoch: row.epoch + 1 })).statuses).toBe('a');
    expect(await switchOver(redis, next(), over)).toBe('changed');
    await redis.hset(record(), 'recovery', 'recovering');
    expect(await switchOver(redis, next(), over)).toBe('changed');
  });

  test('a sale that is open is not switched, even if nothing was taken', async () => {
    const over = await staged();
    await redis.hset(record(), 'recovery', 'open');
    expect(await switchOver(redis, next(), over)).toBe('changed');
  });

  test('what is not all there is not switched to: a field less, no marker, another process', async () => {
    const over = await staged();
    expect(await switchOver(redis, next(), { ...over, identity_now: 'f'.repeat(80) })).toBe('gone');
    await redis.hdel(saleKeys(next()).held, 'a');
    expect(await switchOver(redis, next(), over)).toBe('gone');
    await stage(redis, next(), 'held', ['a', '5']);
    await redis.del(saleKeys(next()).marker);
    expect(await switchOver(redis, next(), over)).toBe('gone');
    expect((await look()).generation).toBe(1);
  });

  test('a step that comes after the switch, or under another epoch, writes nothing', async () => {
    const over = await staged();
    expect(await stage(redis, { ...next(), epoch: next().epoch - 1 }, 'available', ['a', '9'])).toBe('gone');
    await switchOver(redis, next(), over);
    expect(await stage(redis, next(), 'available', ['a', '9'])).toBe('gone');
    expect(await redis.hget(saleKeys(next()).available, 'a')).toBe('5');
  });

  test('staging does not begin again where it has become the sale', async () => {
    const over = await staged();
    await switchOver(redis, next(), over);
    expect(await stageBegin(redis, next(), days)).toEqual({ kind: 'late' });
    expect(await redis.hget(saleKeys(next()).available, 'a')).toBe('5');
  });

  test('what is never switched to goes by itself', async () => {
    await staged();
    const k = saleKeys(next());
    for (const key of [k.available, k.held, k.catalog, k.marker]) {
      expect(await redis.pttl(key)).toBeGreaterThan(0);
    }
  });
});

test('what was taken after an attempt had sealed, whoever opened the sale, comes in with the next attempt', async () => {
  const begun = await beginRebuild(db, sale.sale_no, WHY, { epoch: row.epoch, record_epoch: row.epoch });
  const { id, epoch } = begun ?? { id: 0, epoch: 0 };
  const claimed = await claim(redis, { ...placeOf(row), epoch });
  if (claimed.kind !== 'claimed') throw new Error(claimed.kind);
  const seen = { id, epoch, record_seq: claimed.seq, record_generation: claimed.generation };
  await withSealedSale(db, sale.sale_no, seen, () => Promise.resolve());
  expect(await sale.sale()).toMatchObject({ generation: 2 });
  await redis.hset(record(), 'recovery', 'open');
  const taken = await sale.on(redis).reserveBlind({ ...row, epoch }, [{ key: 'k', buyer: 'x' }]);
  expect(taken.statuses).toBe('a');
  sale.follower.lookAgain();
  await sale.settle();
  expect(await sale.reserve([{ key: 'k', buyer: 'x' }])).toEqual({
    statuses: 'r',
    order_ids: taken.order_ids,
  });
  expect(await sale.audit()).toMatchObject({
    ...{ balanced: true, live: { kind: 'agrees' }, skus: [{ reserved: 1 }, {}] },
  });
});

test('of two who rebuild at once one does, and the other stands back', async () => {
  await sale.reserve([{ key: 'k', buyer: 'x' }]);
  const results = await Promise.allSettled([1, 2, 3].map(() => rebuildSale(sale.deps, sale.sale_no, WHY)));
  const kinds = results.map((result) => (result.status === 'fulfilled' ? result.value.kind : 'failed'));
  sale.follower.lookAgain();
  await sale.settle();
  expect(kinds.filter((kind) => kind === 'rebuilt').length).toBeLessThanOrEqual(1);
  expect((await sale.reserve([{ key: 'k', buyer: 'x' }])).statuses).toBe('r');
  expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
  expect((await followedSale(db, sale.sale_no)).rebuild).toBeNull();
});
