/** A chart: what is drawn, and the words that stand for it where it can't be seen. */
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { followingThePage, THEME } from './theme.ts';

export type Chart = {
  /** Of its file. */
  name: string;
  alt: string;
  spec: TopLevelSpec;
};

export async function svgOf({ spec }: Chart): Promise<string> {
  const view = new View(parse(compile({ ...spec, config: THEME }).spec), { renderer: 'none' });
  try {
    return followingThePage(await view.toSVG());
  } finally {
    view.finalize();
  }
}
