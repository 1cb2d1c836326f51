/** How long answers took: half of them and the slowest hundredth, of both sides of each scenario. */
import { figureText } from '../../lab/result.ts';
import type { Measured } from '../results-file.ts';
import type { Chart } from './chart.ts';
import { dumbbellChart } from './dumbbell-chart.ts';
import { sideLabel } from './side-label.ts';
import { SERIES } from './theme.ts';

/** Undefined when no scenario was measured. */
export function latencyChart(all: readonly Measured[]): Chart | undefined {
  const rows = all.flatMap(({ name, kind, result }) => {
    if (kind === 'stand' || result.wrong.length > 0) return [];
    return [result.a, result.b].flatMap((side) => {
      const { p50_ms, p99_ms } = side;
      if (!p50_ms || !p99_ms) return [];
      const text = `${figureText(p50_ms.median)} / ${figureText(p99_ms.median)} ms`;
      return [{ row: sideLabel(name, side), first: p50_ms.median, second: p99_ms.median, text }];
    });
  });
  if (rows.length === 0) return undefined;
  return dumbbellChart({
    name: 'latency',
    title: 'Time to the answer',
    subtitle: 'p50 and p99, medians of the runs; under full load unless the scenario says otherwise',
    counts: 'p50 and p99',
    x: { title: 'ms (logarithmic)', format: '~g' },
    sides: [
      { name: 'p50', color: SERIES[0] },
      { name: 'p99', color: SERIES[1] },
    ],
    rows,
    ...{ row_px: 28, point_size: 80 },
  });
}
