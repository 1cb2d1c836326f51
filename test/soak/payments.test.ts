import { expect, test } from 'vitest';
import { testDatabase } from '../support/postgres.ts';
import { soak } from './soak.ts';

test('a thousand orders through faults of every kind, the saga killed every two seconds: goods or money, never both or neither', async () => {
  const seed = Number(process.env.SOAK_SEED ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}: npm run soak:payments -- --orders 1000 --seed ${seed}`);
  const result = await soak({
    ...{ database_url: await testDatabase(), orders: 1_000, seed },
    ...{ fault_rate: 0.1, kill_every_ms: 2_000, patience_ms: 300_000 },
  });
  expect(result.wrong).toEqual([]);
  expect(result.kills).toBeGreaterThan(0);
  expect(Object.values(result.states).reduce((sum, count) => sum + count, 0)).toBe(1_000);
}, 480_000);
