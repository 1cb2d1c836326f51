/**
 * The fonts of invoices, read once a process. pdfkit reads a font anew for every document, which costs ten times what
 * the rest of an invoice does; so what it has read is lent to each document here. That takes hold of fields that
 * pdfkit does not promise: its version is pinned, and the tests read every invoice back.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import PDFDocument from 'pdfkit';

export type FontName = 'regular' | 'bold' | 'more';

export type FontFiles = {
  regular: Buffer;
  bold: Buffer;
  /** For letters that those do not have. `family` picks one font of a collection (.ttc). */
  more?: { file: Buffer; family?: string };
};

/** Ours, and the deployment's own: a path, with `#PostScriptName` behind it for one font of a collection. */
export function loadFonts(more?: string): FontFiles {
  const ours = (name: string) => readFileSync(fileURLToPath(new URL(`./fonts/${name}`, import.meta.url)));
  const [path, family] = more?.split('#') ?? [];
  return {
    regular: ours('DejaVuSansCondensed.ttf'),
    bold: ours('DejaVuSansCondensed-Bold.ttf'),
    more: path ? { file: readFileSync(path), family } : undefined,
  };
}

export type FontShelf = {
  /** Names that a document with embedded fonts may use: what the first does not have the last may. */
  names(bold: boolean | undefined): FontName[];
  /** Makes the fonts known to a document by their names. `plain`: Helvetica, and nothing is embedded. */
  lend(doc: PDFKit.PDFDocument, plain: boolean): void;
  /** Has an embedded font all of these letters? */
  has(name: FontName, letters: string): boolean;
};

type ReadFont = { hasGlyphForCodePoint(code: number): boolean; _glyphs: Record<number, unknown> };
type DocumentFont = {
  document: unknown;
  id: string;
  font: ReadFont;
  constructor: new (doc: unknown, font: ReadFont, id: string) => DocumentFont;
};
type Internals = { _font: DocumentFont; _fontFamilies: Record<string, DocumentFont> };

/** Throws if a file is no font. */
export function createFontShelf(files: FontFiles): FontShelf {
  const scratch = new PDFDocument({ font: '', autoFirstPage: false });
  const read = (source: string | Buffer, family?: string): DocumentFont => {
    if (family === undefined) scratch.font(source);
    else scratch.font(source, family);
    return (scratch as unknown as Internals)._font;
  };
  const standard: Partial<Record<FontName, DocumentFont>> = {
    regular: read('Helvetica'),
    bold: read('Helvetica-Bold'),
  };
  const embedded: Partial<Record<FontName, DocumentFont>> = {
    regular: read(files.regular),
    bold: read(files.bold),
    more: files.more && read(files.more.file, files.more.family),
  };
  return {
    names: (bold) => [bold ? 'bold' : 'regular', ...(embedded.more ? (['more'] as const) : [])],
    lend(doc, plain) {
      const known = (doc as unknown as Internals)._fontFamilies;
      for (const [i, name] of (['regular', 'bold', 'more'] as const).entries()) {
        const font = (plain ? standard : embedded)[name];
        if (!font) continue;
        const id = `F${i + 1}`;
        // Glyphs remember which letters they were first used for: another document's would be told to who copies text.
        if (!plain) font.font._glyphs = {};
        // A standard font has nothing of its document's but these two; an embedded one counts the letters that are used.
        known[name] = plain
          ? Object.assign(Object.create(Object.getPrototypeOf(font)), font, { document: doc, id })
          : new font.constructor(doc, font.font, id);
      }
    },
    has(name, letters) {
      const font = embedded[name]?.font;
      return (
        font !== undefined &&
        [...letters].every((letter) => font.hasGlyphForCodePoint(letter.codePointAt(0) as number))
      );
    },
  };
}
