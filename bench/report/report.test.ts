import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeMachine } from '../lab/machine.ts';
import type { Result, Side } from '../lab/result.ts';
import { barRows, shareOfBar } from './bars.ts';
import { type Measured, writeResult } from './results-file.ts';
import { writeReport } from './write-report.ts';

const dir = mkdtempSync(join(tmpdir(), 'stampede-report-'));
const file = join(dir, 'latest.json');
const machine = describeMachine();
const head = { measured_at: '2026-01-02T03:04:05.000Z', machine, settings: { pairs: 5, quick: false } };

const of = (median: number) => ({ median, min: median * 0.9, max: median * 1.1 });

function side(what: string, rate: number, cpu_us: Record<string, number>): Side {
  return {
    ...{ what, requests_per_s: of(rate), p50_ms: of(2), p99_ms: of(8), cpu_us, counts: undefined },
    ...{
      client_idle: of(0.5),
      client_ceiling: false,
      late_p99_ms: undefined,
      sent_p99_ms: undefined,
      drain_s: undefined,
    },
  };
}

function scenario(name: string, more: Partial<Result>): Measured {
  const result: Result = {
    ...{ name, what: `What ${name} is.`, metric: 'requests_per_s', ratio: of(0.6), bar: { at_least: 0.5 } },
    ...{ verdict: 'met', pairs: 5, discarded: 0, figures: [], wrong: [] },
    a: side('checkouts', 60_000, { engine: 20, redis: 5 }),
    b: side('an echo', 100_000, { echo: 7 }),
    ...more,
  };
  return { ...head, name, what: result.what, kind: 'scenario', result };
}

const measured: Measured[] = [
  scenario('checkout', {}),
  scenario('vs-naive', {
    b: side('naive', 900, { engine: 300 }),
    ratio: of(66),
    bar: { at_least: 70 },
    verdict: 'not met',
  }),
  scenario('books', { wrong: ['one unit is missing'] }),
  {
    ...{ ...head, name: 'memory', what: 'Bytes.', kind: 'stand' },
    result: {
      figures: [{ what: 'a reservation', value: 200, unit: 'bytes', bar: { at_most: 240 } }],
      curves: [
        {
          ...{ title: 'Bytes by size', x: 'size', y: 'bytes', bar: { at_most: 240 } },
          lines: [
            {
              name: 'one',
              points: [
                { x: 10, y: 210 },
                { x: 100, y: 200 },
              ],
            },
          ],
        },
      ],
      wrong: [],
    },
  },
];

beforeAll(async () => {
  // Measured in another order than the report has.
  for (const one of measured.toReversed()) writeResult(file, one);
  await writeReport(file, ['checkout', 'vs-naive', 'books', 'memory']);
});
afterAll(() => rmSync(dir, { recursive: true }));

const report = () => readFileSync(join(dir, 'latest.md'), 'utf8');
const chart = (name: string) => readFileSync(join(dir, 'latest', `${name}.svg`), 'utf8');

test('each bar is told with its verdict, and a run with an imbalance has none', () => {
  const verdicts = barRows(measured).map(({ name, value, verdict }) => [name, value, verdict]);
  expect(verdicts).toEqual([
    ['checkout', 0.6, 'met'],
    ['vs-naive', 66, 'not met'],
    ['books', undefined, 'no result'],
    ['memory', 200, 'met'],
  ]);
  expect(report()).toContain('- books: one unit is missing');
});

test('more than the bar is better, also where less is asked for', () => {
  expect(shareOfBar(50, { at_least: 25 })).toBe(2);
  expect(shareOfBar(120, { at_most: 240 })).toBe(2);
});

test('every picture of the report is there, and no other', () => {
  const named = [...report().matchAll(/\]\(latest\/([^)]+)\)/g)].map(([, name]) => name);
  expect(named.toSorted()).toEqual(readdirSync(join(dir, 'latest')).toSorted());
  expect(named).toEqual(
    ['bars', 'baselines', 'cpu', 'cpu-baselines', 'latency', 'memory'].map((name) => `${name}.svg`),
  );
});

test('pictures say what they show and follow a dark page', () => {
  expect(chart('bars')).toContain('0.6 × (≥ 0.5)');
  expect(chart('bars')).not.toContain('books');
  expect(chart('baselines')).toContain('900 → 60,000/s: 66 ×');
  expect(chart('memory')).toContain('bar ≤ 240');
  expect(chart('cpu')).toMatch(/<svg[^>]*><style>@media \(prefers-color-scheme:dark\)/);
});

test('a report tells of each result when, of which commit and how it was measured', () => {
  expect(report()).toContain(`| checkout | 2026-01-02 03:04 | ${machine.commit}`);
  expect(report()).toContain('`npm run bench -- checkout --pairs 5`');
});
