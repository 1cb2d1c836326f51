/** Two values a row, on one logarithmic axis: a point each, a line between them, and a text beside. */
import type { Chart } from './chart.ts';
import { FAINT_INK, SERIES } from './theme.ts';

export type Dumbbells = {
  name: string;
  title: string;
  subtitle: string;
  /** Says what the axis counts, and begins the description for who can't see it. */
  counts: string;
  x: { title: string; format: string };
  /** What the first and the second value of a row are, each with its colour. */
  sides: readonly [Side, Side];
  /** From above to below. */
  rows: readonly { row: string; first: number; second: number; text: string }[];
  row_px: number;
  point_size: number;
};

type Side = { name: string; color: string };

export function dumbbellChart(of: Dumbbells): Chart {
  const { rows, sides } = of;
  const y = { field: 'row', type: 'nominal', sort: rows.map(({ row }) => row), title: null } as const;
  const x = {
    type: 'quantitative',
    title: of.x.title,
    scale: { type: 'log', nice: true },
    axis: { format: of.x.format, tickCount: 6 },
  } as const;
  const points = rows.flatMap(({ row, first, second }) => [
    { row, side: sides[0].name, value: first },
    { row, side: sides[1].name, value: second },
  ]);
  return {
    name: of.name,
    alt: `${of.counts}: ${rows.map(({ row, text }) => `${row} ${text}`).join('; ')}`,
    spec: {
      title: { text: of.title, subtitle: of.subtitle },
      width: 420,
      height: { step: of.row_px },
      data: { values: points },
      layer: [
        {
          data: { values: [...rows] },
          mark: { type: 'rule', size: 2, color: SERIES[5] },
          encoding: { y, x: { ...x, field: 'first' }, x2: { field: 'second' } },
        },
        {
          mark: { type: 'point', filled: true, size: of.point_size, opacity: 1 },
          encoding: {
            y,
            x: { ...x, field: 'value' },
            color: {
              field: 'side',
              type: 'nominal',
              title: null,
              scale: { domain: sides.map(({ name }) => name), range: sides.map(({ color }) => color) },
            },
          },
        },
        {
          data: { values: [...rows] },
          mark: { type: 'text', align: 'left', color: FAINT_INK },
          encoding: { y, x: { value: 432 }, text: { field: 'text' } },
        },
      ],
    },
  };
}
