/** How charts look: one palette that reads on a light page and on a dark one, and ink that follows the page. */
import type { Config } from 'vega-lite';

/** Light: its colour in dark. Whatever draws an SVG without knowing of dark draws it light. */
const IN_DARK: Readonly<Record<string, string>> = {
  '#ffffff': '#0d1117',
  '#1f2328': '#e6edf3',
  '#59636e': '#9198a1',
  '#d9dee4': '#30363d',
};
export const PAPER = '#ffffff';
export const INK = '#1f2328';
export const FAINT_INK = '#59636e';
const LINES = '#d9dee4';

export const GOOD = '#2a9d6f';
export const BAD = '#d1495b';
export const OPEN = '#8a8f98';

/** Told apart also by those who confuse red and green. */
export const SERIES = ['#3b82c4', '#d9822b', '#2a9d6f', '#9467bd', '#c2708a', '#8a8f98'] as const;

export const THEME: Config = {
  background: PAPER,
  padding: 16,
  font: 'system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif',
  view: { stroke: null },
  title: {
    ...{ color: INK, fontSize: 16, fontWeight: 600, anchor: 'start', frame: 'group', offset: 14 },
    ...{ subtitleColor: FAINT_INK, subtitleFontSize: 12, subtitlePadding: 6 },
  },
  axis: {
    ...{ labelColor: INK, titleColor: FAINT_INK, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 400 },
    ...{ gridColor: LINES, domainColor: LINES, tickColor: LINES, labelLimit: 480, titlePadding: 10 },
  },
  legend: {
    ...{ labelColor: INK, labelFontSize: 12, titleColor: FAINT_INK, titleFontSize: 12, titleFontWeight: 400 },
    ...{ orient: 'top', symbolType: 'square', labelLimit: 320, offset: 6 },
  },
  text: { color: INK, fontSize: 12 },
};

/** Adds to an SVG what turns its inks over on a dark page. */
export function followingThePage(svg: string): string {
  const rules = Object.entries(IN_DARK).flatMap(([light, dark]) => [
    `[fill="${light}"]{fill:${dark}}`,
    `[stroke="${light}"]{stroke:${dark}}`,
  ]);
  const style = `<style>@media (prefers-color-scheme:dark){${rules.join('')}}</style>`;
  return svg.replace(/(<svg[^>]*>)/, `$1${style}`);
}
