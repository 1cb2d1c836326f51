/** The curves of stands, a chart each. */
import type { Curve, Figure } from '../../scenarios/stand.ts';
import { barText } from '../bars.ts';
import type { Measured } from '../results-file.ts';
import type { Chart } from './chart.ts';
import { FAINT_INK, INK, SERIES } from './theme.ts';

const POINTS_SHOWN_MAX = 12;

export function curveCharts(all: readonly Measured[]): Chart[] {
  return all.flatMap(({ name, kind, result }) => {
    if (kind === 'scenario' || result.wrong.length > 0) return [];
    return (result.curves ?? []).map((curve, i) => curveChart(i === 0 ? name : `${name}-${i + 1}`, curve));
  });
}

function curveChart(name: string, { title, x, y, log_x, bar, lines }: Curve): Chart {
  const values = lines.flatMap((line) => line.points.map((point) => ({ ...point, line: line.name })));
  const many = values.length > POINTS_SHOWN_MAX * lines.length;
  return {
    name,
    alt: `${title}: ${lines.map((line) => `${line.name} ${ends(line.points)}`).join('; ')}`,
    spec: {
      title,
      width: 520,
      height: 260,
      data: { values },
      layer: [
        {
          mark: { type: 'line', strokeWidth: 2.5, point: { size: many ? 4 : 70, filled: true } },
          encoding: {
            x: {
              field: 'x',
              type: 'quantitative',
              title: x,
              scale: { ...(log_x ? { type: 'log' } : { zero: false }), nice: false },
              axis: { format: '~s', tickCount: 6 },
            },
            y: { field: 'y', type: 'quantitative', title: y, scale: { zero: true } },
            color: {
              field: 'line',
              type: 'nominal',
              title: null,
              scale: { domain: lines.map((line) => line.name), range: [...SERIES] },
            },
          },
        },
        ...barLayers(bar),
      ],
    },
  };
}

function barLayers(bar: Figure['bar']) {
  if (!bar) return [];
  const data = {
    values: [{ at: 'at_least' in bar ? bar.at_least : bar.at_most, text: `bar ${barText(bar)}` }],
  };
  const y = { field: 'at', type: 'quantitative' } as const;
  return [
    { data, mark: { type: 'rule' as const, color: INK, strokeDash: [5, 4], size: 1.5 }, encoding: { y } },
    {
      data,
      mark: { type: 'text', align: 'right', baseline: 'bottom', dy: -4, color: FAINT_INK } as const,
      encoding: { y, x: { value: 516 }, text: { field: 'text' } } as const,
    },
  ];
}

function ends(points: Curve['lines'][number]['points']): string {
  const text = (point: { x: number; y: number } | undefined) =>
    point ? `${point.y.toFixed(2)} at ${point.x.toLocaleString('en')}` : 'nothing';
  return `${text(points[0])} to ${text(points.at(-1))}`;
}
