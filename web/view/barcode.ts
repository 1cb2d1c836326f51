/**
 * Stock as a barcode, its widths drawn from the product's own id. A unit is one bar, or a few where there are
 * few units, or a share of one where there are very many. A unit that is gone leaves a stub, so what was there
 * to begin with stays in view.
 */
const SVG = 'http://www.w3.org/2000/svg';
const BARS_MIN = 48;
const BARS_MAX = 96;
const HEIGHT = 100;

export type Barcode = {
  element: SVGSVGElement;
  /** `available` of `total` units. */
  show(available: number, total: number): void;
};

export function createBarcode(sku: string): Barcode {
  const element = document.createElementNS(SVG, 'svg');
  element.setAttribute('class', 'barcode');
  element.setAttribute('preserveAspectRatio', 'none');
  element.setAttribute('aria-hidden', 'true');
  let bars: SVGRectElement[] = [];
  let drawn_for = 0;

  return {
    element,
    show(available, total) {
      if (total !== drawn_for) bars = draw(element, sku, total);
      drawn_for = total;
      // Never none standing while one is left.
      const standing = total > 0 ? Math.ceil((available / total) * bars.length) : 0;
      for (const [i, bar] of bars.entries()) bar.classList.toggle('gone', i >= standing);
    },
  };
}

function draw(svg: SVGSVGElement, sku: string, total: number): SVGRectElement[] {
  const random = seededBy(sku);
  const per_unit = total > 0 ? Math.max(1, Math.round(BARS_MIN / total)) : 0;
  const count = Math.min(total * per_unit, BARS_MAX);
  let x = 0;
  const bars = Array.from({ length: count }, (_, i) => {
    const width = 2 + Math.floor(random() * 4);
    const bar = document.createElementNS(SVG, 'rect');
    bar.setAttribute('x', String(x));
    bar.setAttribute('width', String(width));
    bar.setAttribute('height', String(HEIGHT));
    const ends_unit = per_unit > 1 && (i + 1) % per_unit === 0;
    x += width + 1.5 + Math.floor(random() * 3) + (ends_unit ? 4 : 0);
    return bar;
  });
  svg.setAttribute('viewBox', `0 0 ${Math.max(1, x - 2)} ${HEIGHT}`);
  svg.replaceChildren(...bars);
  return bars;
}

/** Numbers in [0, 1), the same for the same text (FNV-1a into mulberry32). */
function seededBy(text: string): () => number {
  let state = 0x811c9dc5;
  for (const letter of text) state = Math.imul(state ^ (letter.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
  };
}
