/** All bars in one chart: how far each result is from what it should be. */
import { type BarRow, barText, shareOfBar, valueText } from '../bars.ts';
import type { Chart } from './chart.ts';
import { BAD, FAINT_INK, GOOD, INK, OPEN } from './theme.ts';

const ROW_PX = 30;

/** Undefined when nothing with a bar was measured. */
export function barsChart(rows: readonly BarRow[]): Chart | undefined {
  const values = rows.flatMap((row) => {
    if (row.value === undefined) return [];
    const { name, value, unit, bar, spread, verdict } = row;
    const share = shareOfBar(value, bar);
    const ends = spread ? [shareOfBar(spread.min, bar), shareOfBar(spread.max, bar)] : [share, share];
    return [
      {
        row: labelOf(row, rows),
        share,
        low: Math.min(...ends),
        high: Math.max(...ends),
        verdict,
        name,
        text: `${valueText({ value, unit })} (${barText(bar)})`,
      },
    ];
  });
  if (values.length === 0) return undefined;
  const y = { field: 'row', type: 'nominal', sort: null, title: null } as const;
  const x = {
    type: 'quantitative',
    title: 'share of the bar: 1 is what is asked for, more is better',
    scale: { type: 'log', domain: domainOf(values), nice: false },
    axis: { format: '~g', tickCount: 6 },
  } as const;
  const color = {
    field: 'verdict',
    type: 'nominal',
    title: null,
    scale: { domain: ['met', 'not met', 'not shown'], range: [GOOD, BAD, OPEN] },
  } as const;
  return {
    name: 'bars',
    alt: `Results against their bars: ${values.map(({ row, verdict }) => `${row} ${verdict}`).join('; ')}`,
    spec: {
      title: {
        text: 'Results against their bars',
        subtitle: 'Median with the lowest and highest pair; the line is the bar',
      },
      width: 460,
      height: { step: ROW_PX },
      data: { values },
      layer: [
        {
          data: { values: [{ bar: 1 }] },
          mark: { type: 'rule', color: INK, size: 2 },
          encoding: { x: { field: 'bar', type: 'quantitative' } },
        },
        {
          mark: { type: 'rule', size: 3 },
          encoding: { y, x: { ...x, field: 'low' }, x2: { field: 'high' }, color },
        },
        {
          mark: { type: 'point', filled: true, size: 90, opacity: 1 },
          encoding: { y, x: { ...x, field: 'share' }, color },
        },
        {
          mark: { type: 'text', align: 'left', color: FAINT_INK, fontSize: 12 },
          encoding: { y, x: { value: 472 }, text: { field: 'text' } },
        },
      ],
    },
  };
}

/** A stand has several: the figure's words tell them apart. */
function labelOf({ name, what }: BarRow, rows: readonly BarRow[]): string {
  return rows.filter((row) => row.name === name).length > 1 ? `${name}: ${what}` : name;
}

function domainOf(values: readonly { low: number; high: number }[]): [number, number] {
  const low = Math.min(1, ...values.map((value) => value.low));
  const high = Math.max(1, ...values.map((value) => value.high));
  return [low / 1.3, high * 1.3];
}
