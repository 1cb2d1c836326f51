/** A link as a QR code, for a phone that is not the one showing this page. */
import { qrMatrix } from '../qr.ts';
import { h } from './dom.ts';

const SVG = 'http://www.w3.org/2000/svg';
/** Modules of white around the code: without them cameras do not find it. */
const QUIET = 4;

/** An empty place where the link is too long for a code. */
export function createQrCode(link: string): HTMLElement {
  const place = h('figure', { className: 'qr' });
  const matrix = qrMatrix(link);
  if (!matrix) return place;
  const size = matrix.length + 2 * QUIET;
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${size} ${size}`);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', 'QR code of the same link');
  const modules = matrix.flatMap((row, y) =>
    row.flatMap((dark, x) => (dark ? [`M${x + QUIET} ${y + QUIET}h1v1h-1z`] : [])),
  );
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', modules.join(''));
  svg.append(path);
  place.append(svg, h('figcaption', {}, 'Scan with the phone that has the app'));
  return place;
}
