/** Orders a second of the engine and of each baseline, measured in turn. */
import { figureText } from '../../lab/result.ts';
import type { Measured } from '../results-file.ts';
import type { Chart } from './chart.ts';
import { dumbbellChart } from './dumbbell-chart.ts';
import { SERIES } from './theme.ts';

/** Undefined when there is no baseline among the results. */
export function baselinesChart(all: readonly Measured[]): Chart | undefined {
  const rows = all.flatMap(({ name, kind, result }) => {
    if (kind === 'stand' || !name.startsWith('vs-') || !result.ratio || result.wrong.length > 0) return [];
    const [ours, theirs] = [result.a.requests_per_s, result.b.requests_per_s];
    if (!ours || !theirs) return [];
    const { what } = result.b;
    return [{ row: what, first: theirs.median, second: ours.median, ratio: result.ratio.median }];
  });
  if (rows.length === 0) return undefined;
  rows.sort((one, other) => one.ratio - other.ratio);
  return dumbbellChart({
    name: 'baselines',
    title: 'Checkouts a second, against what people use today',
    subtitle: 'One hot SKU, one machine, in turn; medians',
    counts: 'Checkouts a second',
    x: { title: 'checkouts a second (logarithmic)', format: '~s' },
    sides: [
      { name: 'baseline', color: SERIES[1] },
      { name: 'Stampede', color: SERIES[0] },
    ],
    rows: rows.map(({ row, first, second, ratio }) => ({
      ...{ row, first, second },
      text: `${rate(first)} → ${rate(second)}/s: ${figureText(ratio)} ×`,
    })),
    ...{ row_px: 34, point_size: 110 },
  });
}

const rate = (per_s: number) => Math.round(per_s).toLocaleString('en');
