/** How long answers took: half of them and the slowest hundredth, of both sides of each scenario. */
import { figureText } from '../../lab/result.ts';
import type { Measured } from '../results-file.ts';
import type { Chart } from './chart.ts';
import { sideLabel } from './side-label.ts';
import { FAINT_INK, SERIES } from './theme.ts';

const ROW_PX = 28;

/** Undefined when no scenario was measured. */
export function latencyChart(all: readonly Measured[]): Chart | undefined {
  const rows = all.flatMap(({ name, kind, result }) => {
    if (kind === 'stand' || result.wrong.length > 0) return [];
    return [result.a, result.b].flatMap((side) => {
      const { p50_ms, p99_ms } = side;
      return p50_ms && p99_ms ? [{ row: sideLabel(name, side), p50: p50_ms.median, p99: p99_ms.median }] : [];
    });
  });
  if (rows.length === 0) return undefined;
  const points = rows.flatMap(({ row, p50, p99 }) => [
    { row, percentile: 'p50', ms: p50 },
    { row, percentile: 'p99', ms: p99 },
  ]);
  const labels = rows.map(({ row, p50, p99 }) => ({
    row,
    text: `${figureText(p50)} / ${figureText(p99)} ms`,
  }));
  const y = { field: 'row', type: 'nominal', sort: null, title: null } as const;
  const x = {
    type: 'quantitative',
    title: 'ms (logarithmic)',
    scale: { type: 'log', nice: true },
    axis: { format: '~g', tickCount: 6 },
  } as const;
  return {
    name: 'latency',
    alt: `p50 and p99: ${labels.map(({ row, text }) => `${row} ${text}`).join('; ')}`,
    spec: {
      title: {
        text: 'Time to the answer',
        subtitle: 'p50 and p99, medians of the runs; under full load unless the scenario says otherwise',
      },
      width: 420,
      height: { step: ROW_PX },
      data: { values: points },
      layer: [
        {
          data: { values: rows },
          mark: { type: 'rule', size: 2, color: SERIES[5] },
          encoding: { y, x: { ...x, field: 'p50' }, x2: { field: 'p99' } },
        },
        {
          mark: { type: 'point', filled: true, size: 80, opacity: 1 },
          encoding: {
            y,
            x: { ...x, field: 'ms' },
            color: {
              field: 'percentile',
              type: 'nominal',
              title: null,
              scale: { domain: ['p50', 'p99'], range: [SERIES[0], SERIES[1]] },
            },
          },
        },
        {
          data: { values: labels },
          mark: { type: 'text', align: 'left', color: FAINT_INK },
          encoding: { y, x: { value: 432 }, text: { field: 'text' } },
        },
      ],
    },
  };
}
