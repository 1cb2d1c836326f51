/** A ledger and a stream that have parted: the whole stream is gone through again, and nothing in it counts twice. */
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { wantRebuild } from '../../ledger/rebuild/begin-rebuild.ts';
import { recordReduce } from '../../ledger/sales/record-reduce.ts';
import { setGate } from '../../ledger/sales/set-gate.ts';
import { reduce } from '../../lua/scripts.ts';
import { connect } from '../../lua/testing/sale.ts';
import type { Pool } from '../../platform/postgres.ts';
import { hash16, setHeartbeat, testLedger } from '../../test/support/ledger.ts';
import { rig } from '../../test/support/reconciler.ts';
import { testRedis } from '../../test/support/redis.ts';
import { placeOf } from '../sale-place.ts';

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

test('units taken out of sale and positions of the gate are counted once', async () => {
  const sale = await rig({ db, redis });
  await sale.settle();
  const row = await sale.sale();
  const { tenant } = row;
  const request = { tenant, sale: row.sale, key: 'less-of-it-please', fingerprint: hash16('f') };
  await recordReduce(db, request);
  await reduce(
    redis,
    placeOf(row),
    { id: hash16('id'), request_id: request.key, fingerprint: hash16('f'), items: [{ sku: 'a', qty: 10 }] },
    Date.now(),
  );
  await setGate(db, tenant, row.sale, 'pause');
  await sale.release();
  await setGate(db, tenant, row.sale, 'resume');
  await sale.release();
  await sale.settle();
  expect((await sale.audit()).skus[0]).toMatchObject({ total: 90, told_available: 90 });
  await db.query({ text: `UPDATE cursors SET digest = '\\x00' WHERE sale_no = $1`, values: [sale.sale_no] });
  await wantRebuild(db, sale.sale_no, { reason: 'operator', actor: 'me' });
  sale.follower.lookAgain();
  await sale.settle();
  const audit = await sale.audit();
  expect(audit).toMatchObject({ balanced: true, live: { kind: 'agrees' }, fenced_reason: null });
  expect(audit.skus[0]).toMatchObject({ total: 90, told_available: 90 });
});
