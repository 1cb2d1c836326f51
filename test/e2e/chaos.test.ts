/** A short run of test/chaos: the same world, load, faults and judge as `npm run chaos`, with few and cheap faults. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { chaos } from '../chaos/chaos.ts';

const out = mkdtempSync(join(tmpdir(), 'stampede-chaos-test-'));
afterAll(() => rmSync(out, { recursive: true, force: true }));

test('eight faults in real processes, alone and in pairs: nothing lost, nothing doubled', async () => {
  const told: string[] = [];
  const { judgment, faults, load } = await chaos({
    ...{ seed: 8, faults_max: 8, duration_ms: 120_000, out, rate: 40, rate_max: 40 },
    classes: ['kill', 'stop', 'reset', 'one_way', 'script_flush', 'flushall', 'old_aof', 'torn_aof'],
    ...{ sales: 2, sale_ms: 12_000, hold_seconds: 2, engines: 2, reconcilers: 2, patience_ms: 180_000 },
    progress: (line) => told.push(line),
  });
  expect({ violations: judgment.violations, told }).toEqual({ violations: [], told });
  const struck = Object.values(faults).reduce((sum, { alone, paired }) => sum + alone + paired, 0);
  expect(struck).toBeGreaterThanOrEqual(8);
  expect(load.status_201).toBeGreaterThan(0);
  // Every rule had something to look at, but for those of deeds that may not have been drawn.
  const idle = Object.entries(judgment.checked).filter(([, count]) => count === 0);
  expect(idle.filter(([rule]) => rule !== 'refunds')).toEqual([]);
}, 480_000);
