/**
 * Text into a PDF, word by word: which font has which letter, where lines break, and which way they run.
 *
 * What Windows-1252 can write is set in Helvetica, which every reader of PDFs has: the smallest file, made in a few
 * milliseconds. As soon as one letter of a document needs more, all of it is set in DejaVu Sans, embedded: Latin,
 * Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic, and signs of currencies. A letter that it has not either is
 * looked for in the deployment's own font (INVOICE_FONT), and then shown as a box, and the document says what that means.
 */
import type { FontName, FontShelf } from './fonts.ts';

export type Style = { size: number; bold?: boolean; color?: string };

export type Typesetter = {
  /** Lines no wider than `width`. */
  wrap(text: string, width: number, style: Style): string[];
  /** One line; `align` right ends at x. */
  line(text: string, x: number, y: number, style: Style, align?: 'left' | 'right'): void;
  /** Was there a letter that no font has? */
  missing(): boolean;
};

/** What stands for a letter that no font has. */
export const BOX = '\u25a1';

const WINDOWS_1252 =
  /^[\u0020-\u007e\u00a0-\u00ff\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178]*$/;
const RIGHT_TO_LEFT = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/** Can Helvetica write it? */
export function isPlain(text: string): boolean {
  return WINDOWS_1252.test(text);
}

/** `plain`: nothing in the whole document needs more than Helvetica. */
export function createTypesetter(
  doc: PDFKit.PDFDocument,
  options: { fonts: FontShelf; plain: boolean },
): Typesetter {
  const { fonts, plain } = options;
  let missing = false;
  fonts.lend(doc, plain);
  const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

  /** A word as pieces of one font each. */
  function pieces(word: string, { bold }: Style): { text: string; font: FontName }[] {
    const main = bold ? 'bold' : 'regular';
    if (plain || isPlain(word)) return [{ text: word, font: main }];
    const found: { text: string; font: FontName }[] = [];
    for (const { segment } of graphemes.segment(word)) {
      const font = fonts.names(bold).find((name) => fonts.has(name, segment));
      if (!font) missing = true;
      const piece = { text: font ? segment : BOX, font: font ?? main };
      const last = found.at(-1);
      if (last?.font === piece.font) last.text += piece.text;
      else found.push(piece);
    }
    return isRightToLeft(word) ? found.reverse() : found;
  }

  const widthOf = (word: string, style: Style) =>
    pieces(word, style).reduce(
      (sum, { text, font }) => sum + doc.font(font).fontSize(style.size).widthOfString(text),
      0,
    );
  const spaceOf = (style: Style) =>
    doc
      .font(style.bold ? 'bold' : 'regular')
      .fontSize(style.size)
      .widthOfString(' ');

  return {
    wrap(text, width, style) {
      const lines: string[] = [];
      const space = spaceOf(style);
      let line: string[] = [];
      let used = 0;
      const end = () => {
        if (line.length > 0) lines.push(line.join(' '));
        [line, used] = [[], 0];
      };
      const words = text.split(' ').filter((word) => word !== '');
      for (const word of words.flatMap((whole) => broken(whole, width, style))) {
        const wide = widthOf(word, style);
        if (line.length > 0 && used + space + wide > width) end();
        used += wide + (line.length > 0 ? space : 0);
        line.push(word);
      }
      end();
      return lines.length > 0 ? lines : [''];
    },
    line(text, x, y, style, align = 'left') {
      const words = visualOrder(text.split(' ').filter((word) => word !== ''));
      const space = spaceOf(style);
      const widths = words.map((word) => widthOf(word, style));
      const wide = widths.reduce((sum, width) => sum + width, 0) + space * Math.max(0, words.length - 1);
      let at = align === 'right' ? x - wide : x;
      doc.fillColor(style.color ?? '#17130a');
      // Each word at its own place: the space of a word that runs right to left would stand on its wrong side.
      for (const word of words) {
        for (const { text: piece, font } of pieces(word, style)) {
          doc.font(font).fontSize(style.size).text(piece, at, y, { lineBreak: false });
          at += doc.widthOfString(piece);
        }
        at += space;
      }
    },
    missing: () => missing,
  };

  /** A word that is wider than a line, in parts. */
  function broken(word: string, width: number, style: Style): string[] {
    if (widthOf(word, style) <= width) return [word];
    const parts: string[] = [];
    let part = '';
    for (const { segment } of graphemes.segment(word)) {
      if (part !== '' && widthOf(part + segment, style) > width) {
        parts.push(part);
        part = '';
      }
      part += segment;
    }
    return [...parts, part];
  }
}

function isRightToLeft(word: string): boolean {
  return RIGHT_TO_LEFT.test(word);
}

/** Words as they stand on paper from left to right: those of Arabic and Hebrew run the other way. */
function visualOrder(words: readonly string[]): string[] {
  const ordered: string[] = [];
  let turned: string[] = [];
  for (const word of words) {
    if (isRightToLeft(word)) turned.unshift(word);
    else {
      ordered.push(...turned, word);
      turned = [];
    }
  }
  return [...ordered, ...turned];
}
