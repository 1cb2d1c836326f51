/** The report beside a file of results: `latest.json` gives `latest.md` and pictures in `latest/`. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { barRows } from './bars.ts';
import { barsChart } from './charts/bars-chart.ts';
import { baselinesChart } from './charts/baselines-chart.ts';
import { type Chart, svgOf } from './charts/chart.ts';
import { cpuCharts } from './charts/cpu-chart.ts';
import { curveCharts } from './charts/curve-charts.ts';
import { latencyChart } from './charts/latency-chart.ts';
import { markdownOf } from './markdown.ts';
import { type Measured, readResults } from './results-file.ts';

export function chartsOf(all: readonly Measured[]): Chart[] {
  const charts = [barsChart(barRows(all)), baselinesChart(all), ...cpuCharts(all), latencyChart(all)];
  return [...charts, ...curveCharts(all)].filter((chart) => chart !== undefined);
}

/** The files that were written. `order`: names of scenarios and stands; what has another name comes last. */
export async function writeReport(results_file: string, order: readonly string[]): Promise<string[]> {
  const place = ({ name }: Measured) => (order.includes(name) ? order.indexOf(name) : order.length);
  const all = readResults(results_file).toSorted((one, other) => place(one) - place(other));
  const name = basename(results_file, '.json');
  const folder = join(dirname(results_file), name);
  // Pictures of what is not measured any more would stay for ever.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const drawn = [];
  for (const chart of chartsOf(all)) {
    const picture = `${name}/${chart.name}.svg`;
    writeFileSync(join(dirname(results_file), picture), await svgOf(chart));
    drawn.push({ chart, picture });
  }
  const report = join(dirname(results_file), `${name}.md`);
  writeFileSync(report, markdownOf(all, drawn, { quick: name === 'quick' }));
  return [report, ...drawn.map(({ picture }) => join(dirname(results_file), picture))];
}
