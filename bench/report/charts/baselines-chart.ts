/** Orders a second of the engine and of each baseline, measured in turn. */
import { figureText } from '../../lab/result.ts';
import type { Measured } from '../results-file.ts';
import type { Chart } from './chart.ts';
import { FAINT_INK, SERIES } from './theme.ts';

const ROW_PX = 34;

/** Undefined when there is no baseline among the results. */
export function baselinesChart(all: readonly Measured[]): Chart | undefined {
  const rows = all.flatMap(({ name, kind, result }) => {
    if (kind === 'stand' || !name.startsWith('vs-') || !result.ratio || result.wrong.length > 0) return [];
    const [ours, theirs] = [result.a.requests_per_s, result.b.requests_per_s];
    if (!ours || !theirs) return [];
    const { what } = result.b;
    return [{ what, ours: ours.median, theirs: theirs.median, ratio: result.ratio.median }];
  });
  if (rows.length === 0) return undefined;
  rows.sort((one, other) => one.ratio - other.ratio);
  const points = rows.flatMap(({ what, ours, theirs }) => [
    { what, side: 'baseline', rate: theirs },
    { what, side: 'Stampede', rate: ours },
  ]);
  const labels = rows.map(({ what, ours, theirs, ratio }) => ({
    what,
    text: `${Math.round(theirs).toLocaleString('en')} → ${Math.round(ours).toLocaleString('en')}/s: ${figureText(ratio)} ×`,
  }));
  const y = { field: 'what', type: 'nominal', sort: rows.map(({ what }) => what), title: null } as const;
  const scale = { type: 'log', nice: true } as const;
  const x = {
    type: 'quantitative',
    title: 'checkouts a second (logarithmic)',
    scale,
    axis: { format: '~s', tickCount: 6 },
  } as const;
  return {
    name: 'baselines',
    alt: `Checkouts a second: ${labels.map(({ what, text }) => `${what} ${text}`).join('; ')}`,
    spec: {
      title: {
        text: 'Checkouts a second, against what people use today',
        subtitle: 'One hot SKU, one machine, in turn; medians',
      },
      width: 420,
      height: { step: ROW_PX },
      data: { values: points },
      layer: [
        {
          data: { values: rows },
          mark: { type: 'rule', size: 2, color: SERIES[5] },
          encoding: { y, x: { ...x, field: 'theirs' }, x2: { field: 'ours' } },
        },
        {
          mark: { type: 'point', filled: true, size: 110, opacity: 1 },
          encoding: {
            y,
            x: { ...x, field: 'rate' },
            color: {
              field: 'side',
              type: 'nominal',
              title: null,
              scale: { domain: ['baseline', 'Stampede'], range: [SERIES[1], SERIES[0]] },
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
