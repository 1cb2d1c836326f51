/** A chart: what is drawn, and the words that stand for it where it can't be seen. */
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { followingThePage, THEME } from './theme.ts';

export type Chart = {
  /** Of its file. */
  name: string;
  alt: string;
  spec: TopLevelSpec;
};

/** Without a canvas text can't be measured: a little more than it takes in common fonts. Vega's types leave this out. */
const WIDTH_OF_CHARACTER_EM = 0.6;
const { textMetrics } = vega as unknown as { textMetrics: object };
Object.assign(textMetrics, {
  width: ({ fontSize = 11 }: { fontSize?: number }, text: unknown) =>
    String(text).length * fontSize * WIDTH_OF_CHARACTER_EM,
});

export async function svgOf({ spec }: Chart): Promise<string> {
  const view = new vega.View(vega.parse(compile({ ...spec, config: THEME }).spec), { renderer: 'none' });
  try {
    return followingThePage(await view.toSVG());
  } finally {
    view.finalize();
  }
}
