/** Where the CPU of an answer goes: each process's share, stacked. */
import { figureText } from '../../lab/result.ts';
import type { Measured } from '../results-file.ts';
import type { Chart } from './chart.ts';
import { FAINT_INK, SERIES } from './theme.ts';

const ROW_PX = 28;
const PROCESSES = ['engine', 'redis', 'reconciler', 'postgres', 'sandbox', 'echo'];

/** Undefined when no scenario was measured. */
export function cpuChart(all: readonly Measured[]): Chart | undefined {
  const sides = all.flatMap(({ name, kind, result }) => {
    if (kind === 'stand' || result.wrong.length > 0) return [];
    return [
      { row: `${name}: ${result.a.what}`, cpu_us: result.a.cpu_us },
      { row: `${name}: ${result.b.what}`, cpu_us: result.b.cpu_us },
    ];
  });
  // The echo is beside nearly every one of them: once is enough.
  const echoes = sides.filter(isEcho);
  const shown = [...sides.filter((side) => !isEcho(side)), ...echoes.slice(0, 1)];
  const values = shown.flatMap(({ row, cpu_us }) =>
    PROCESSES.flatMap((process, order) => {
      const us = cpu_us[process];
      return us === undefined ? [] : [{ row, process, order, us }];
    }),
  );
  if (values.length === 0) return undefined;
  const totals = shown.map(({ row, cpu_us }) => {
    const us = Object.values(cpu_us).reduce((sum, one) => sum + one, 0);
    return { row, us, text: `${figureText(us)} us` };
  });
  const y = { field: 'row', type: 'nominal', sort: null, title: null } as const;
  return {
    name: 'cpu',
    alt: `CPU of one answer, all processes: ${totals.map(({ row, text }) => `${row} ${text}`).join('; ')}`,
    spec: {
      title: {
        text: 'CPU of one answer, by process',
        subtitle: 'Medians; what the ledger and payments do of an order is counted while they do it',
      },
      width: 420,
      height: { step: ROW_PX },
      data: { values },
      layer: [
        {
          mark: { type: 'bar', height: { band: 0.7 } },
          encoding: {
            y,
            x: { field: 'us', type: 'quantitative', stack: 'zero', title: 'CPU, us an answer' },
            order: { field: 'order' },
            color: {
              field: 'process',
              type: 'nominal',
              title: null,
              scale: { domain: PROCESSES, range: [...SERIES] },
            },
          },
        },
        {
          data: { values: totals },
          mark: { type: 'text', align: 'left', dx: 6, color: FAINT_INK },
          encoding: { y, x: { field: 'us', type: 'quantitative' }, text: { field: 'text' } },
        },
      ],
    },
  };
}

const isEcho = ({ cpu_us }: { cpu_us: Record<string, number> }) => Object.keys(cpu_us).join() === 'echo';
