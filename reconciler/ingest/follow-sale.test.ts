import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditOrders } from '../../ledger/audit.ts';
import { connect } from '../../lua/testing/sale.ts';
import type { Pool } from '../../platform/postgres.ts';
import { setHeartbeat, stockOf, testLedger } from '../../test/support/ledger.ts';
import { rig } from '../../test/support/reconciler.ts';
import { testRedis } from '../../test/support/redis.ts';

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

describe('a new sale', () => {
  test('is loaded, verified and opened; then what Redis takes becomes orders', async () => {
    const sale = await rig({ db, redis });
    await sale.settle();
    expect(await sale.sale()).toMatchObject({
      loaded: true,
      seq: 1,
      fenced_reason: null,
      gate_version_seen: 1,
    });
    const { statuses, order_ids } = await sale.reserve([
      {},
      {
        lines: [
          { sku: 'a', qty: 2 },
          { sku: 'b', qty: 1 },
        ],
      },
    ]);
    expect(statuses).toBe('aa');
    await sale.settle();
    const { rows } = await db.query({
      text: 'SELECT id, state, total FROM orders WHERE sale_no = $1 ORDER BY total',
      values: [sale.sale_no],
    });
    expect(rows).toEqual([
      { id: order_ids[0], state: 'reserved', total: 1000 },
      { id: order_ids[1], state: 'reserved', total: 3000 },
    ]);
    expect(await stockOf(db, sale.sale_no)).toEqual({
      a: { total: 100, reserved: 3, sold: 0, told_available: 97, told_held: 3 },
      b: { total: 100, reserved: 1, sold: 0, told_available: 99, told_held: 1 },
    });
    expect(await sale.audit()).toMatchObject({ balanced: true, live: { kind: 'agrees' } });
    expect(await auditOrders(db, sale.sale_no)).toEqual([]);
  });
});
