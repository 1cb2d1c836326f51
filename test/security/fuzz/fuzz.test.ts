/** The short versions; `npm run fuzz -- --help` for long ones. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { testDatabase } from '../../support/postgres.ts';
import { aborts } from './aborts.ts';
import { drawOf } from './draw.ts';
import { fuzz } from './fuzz.ts';
import { drawRequest, KINDS } from './request.ts';
import { startWorld, type World } from './world.ts';

const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
let world: World;
beforeAll(async () => {
  world = await startWorld({ redis_url: inject('redisUrl'), database_url: await testDatabase() });
}, 300_000);
afterAll(() => world.stop());

describe('the engine, asked at random', () => {
  it('answers 8,000 requests as its document says, and takes no stock that it does not acknowledge', async () => {
    console.log(`npm run fuzz -- --requests 8000 --seed ${SEED}`);
    const result = await fuzz({ world, requests: 8_000, seed: SEED });
    expect(result.faults).toEqual([]);
    // It has been somewhere: every operation asked, every kind drawn, orders made.
    for (const [id, [asked]] of Object.entries(result.operations))
      expect([id, asked > 0]).toEqual([id, true]);
    for (const kind of KINDS) expect([kind, result.kinds[kind] > 0]).toEqual([kind, true]);
    expect(result.orders).toBeGreaterThan(world.shop.orders.length + 50);
    for (const status of [200, 201, 400, 401, 404, 409]) expect(result.statuses[status]).toBeGreaterThan(0);
  }, 180_000);

  it('keeps its books although 2,000 clients leave before they are answered', async () => {
    const result = await aborts({ world, aborts: 2_000, seed: SEED });
    expect(result.faults).toEqual([]);
    for (const count of Object.values(result.left)) expect(count).toBeGreaterThan(0);
  }, 180_000);

  it('draws the same request from the same seed', () => {
    for (let number = 0; number < 50; number++) {
      const one = drawRequest(world, drawOf(7, number));
      expect(drawRequest(world, drawOf(7, number)).bytes.equals(one.bytes)).toBe(true);
    }
  });
});
