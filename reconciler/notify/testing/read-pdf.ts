/** What a PDF says, and where: read by another library than the one that wrote it. */
import { getDocument } from 'pdfjs-dist/legacy/build/pdf.mjs';

/** `x` is where it begins, `right` where it ends, `y` its base line from the top; points. */
export type PdfText = { text: string; x: number; right: number; y: number; page: number; size: number };

export type ReadPdf = {
  pages: number;
  texts: PdfText[];
  /** Texts of one line of a page, from left to right, joined by spaces. */
  lines: string[];
  info: Record<string, unknown>;
};

export async function readPdf(pdf: Buffer): Promise<ReadPdf> {
  const task = getDocument({ data: new Uint8Array(pdf), useSystemFonts: false, verbosity: 0 });
  const document = await task.promise;
  const texts: PdfText[] = [];
  for (let page = 1; page <= document.numPages; page++) {
    const opened = await document.getPage(page);
    const { height } = opened.getViewport({ scale: 1 });
    for (const item of (await opened.getTextContent()).items) {
      if (!('str' in item) || item.str.trim() === '') continue;
      const [size = 0, , , , x = 0, y = 0] = item.transform as number[];
      texts.push({ text: item.str, x, right: x + item.width, y: height - y, page, size });
    }
  }
  const { info } = await document.getMetadata();
  const { numPages: pages } = document;
  await task.destroy();
  return { pages, texts, lines: linesOf(texts), info: info as Record<string, unknown> };
}

function linesOf(texts: readonly PdfText[]): string[] {
  const lines = new Map<string, PdfText[]>();
  for (const text of texts) {
    const key = `${text.page} ${Math.round(text.y)}`;
    lines.set(key, [...(lines.get(key) ?? []), text]);
  }
  return [...lines.values()].map((line) =>
    line
      .sort((a, b) => a.x - b.x)
      .map(({ text }) => text.trim())
      .join(' '),
  );
}
