/**
 * The invoice as a PDF (A4). The same order gives the same bytes, whenever and wherever it is made: its dates are the
 * order's, not the clock's. Amounts carry the currency's code: `$` is the sign of twenty currencies.
 */
import PDFDocument from 'pdfkit';
import type { NoticeOrder } from '../../../ledger/notices/notice-orders.ts';
import { oneLine } from '../clean-text.ts';
import { invoiceNumber, methodName, providerName } from '../view.ts';
import type { Words } from '../words.ts';
import type { FontShelf } from './fonts.ts';
import { BOX, createTypesetter, isPlain, type Style, type Typesetter } from './typesetter.ts';

export type InvoiceSettings = {
  shop_name: string;
  seller: readonly string[];
  words: Words;
  fonts: FontShelf;
};

export type Invoice = {
  pdf: Buffer;
  filename: string;
  /** A letter of it is shown as a box. */
  letters_missing: boolean;
};

const PAGE = { width: 595.28, height: 841.89, margin: 50, foot: 70 };
const RIGHT = PAGE.width - PAGE.margin;
const BOTTOM = PAGE.height - PAGE.foot;
/** Where columns of figures end; the goods have what is left of the first. */
const COLUMNS = { qty: 330, price: 440, amount: RIGHT };
const GOODS_WIDTH = COLUMNS.qty - PAGE.margin - 40;
const HALF = (RIGHT - PAGE.margin - 30) / 2;

const BODY: Style = { size: 10 };
const SMALL: Style = { size: 8.5, color: '#5d5644' };
const HEAD: Style = { size: 8.5, bold: true, color: '#5d5644' };
/** Four sums, the total and the payment. */
const TOTALS_HEIGHT = 134;
const RULE = '#c9c1aa';

/** The order must have its invoice number. */
export function makeInvoice(order: NoticeOrder, settings: InvoiceSettings): Promise<Invoice> {
  if (!order.invoice) throw new Error(`order ${order.order_id} has no invoice number`);
  const number = invoiceNumber(order.invoice.no);
  const issued_at = new Date(order.invoice.issued_at_ms);
  const content = contentOf(order, settings, number, issued_at);
  const doc = new PDFDocument({
    size: 'A4',
    margin: 0,
    // Those of the shelf, and not one more that is read for nothing.
    font: '',
    bufferPages: true,
    lang: 'en',
    displayTitle: true,
    info: { Title: `Invoice ${number}`, Author: oneLine(settings.shop_name), CreationDate: issued_at },
  });
  const chunks: Buffer[] = [];
  doc.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<void>((resolve, reject) => doc.on('end', resolve).on('error', reject));
  const plain = isPlain(JSON.stringify(content).replaceAll('\\', ''));
  const type = createTypesetter(doc, { fonts: settings.fonts, plain });
  drawHead(doc, type, content);
  drawTotals(doc, type, content, drawLines(doc, type, content, 320));
  drawFeet(doc, type, content);
  doc.end();
  return ended.then(() => ({
    pdf: Buffer.concat(chunks),
    filename: `${number}.pdf`,
    letters_missing: type.missing(),
  }));
}

type Content = ReturnType<typeof contentOf>;

/** Everything that will be written, as text: so that it is known beforehand which letters are needed. */
function contentOf(
  order: NoticeOrder,
  { shop_name, seller, words }: InvoiceSettings,
  number: string,
  issued_at: Date,
) {
  const { amounts, shipping_address: address, payment } = order;
  // The narrow space that some locales group with is not in every font.
  const amount = (minor: number) =>
    words.amount(minor, amounts.currency, 'code').replaceAll('\u202f', '\u00a0');
  const lines = (texts: readonly (string | undefined)[]) =>
    texts.map((text) => oneLine(text ?? '')).filter(Boolean);
  return {
    number,
    facts: [
      ['Invoice number', number],
      ['Date', words.date(issued_at)],
      ['Order', order.order_id],
    ] as [string, string][],
    seller: lines(seller.length > 0 ? seller : [shop_name]),
    buyer: address
      ? lines([
          address.name,
          address.line1,
          address.line2,
          `${address.postal_code} ${address.city}`,
          address.region,
          address.country,
        ])
      : lines([order.contact?.email ?? order.contact?.phone]),
    items: order.items.map((item) => ({
      name: oneLine(item.name),
      sku: oneLine(item.sku),
      qty: String(item.qty),
      price: amount(item.unit_price),
      amount: amount(item.qty * item.unit_price),
    })),
    totals: [
      ['Subtotal', amount(amounts.subtotal)],
      ['Discount', amount(-amounts.discount)],
      ['Shipping', amount(amounts.shipping)],
      ['Tax', amount(amounts.tax)],
    ] as [string, string][],
    total: amount(amounts.total),
    payment: payment
      ? `Payment: ${methodName(payment.method_type)}, through ${providerName(payment.psp)}`
      : '',
  };
}

function drawHead(doc: PDFKit.PDFDocument, type: Typesetter, content: Content): void {
  const { margin } = PAGE;
  doc.rect(0, 0, PAGE.width, 8).fill('#ffd426');
  type.line('Invoice', margin, 44, { size: 26, bold: true });
  for (const [i, [name, value]] of content.facts.entries()) {
    const y = 96 + i * 16;
    type.line(name, margin, y + 1, HEAD);
    type.line(value, margin + 90, y, BODY);
  }
  drawBlock(type, 'From', content.seller, margin, 162);
  drawBlock(type, 'To', content.buyer, margin + HALF + 30, 162);
}

/** As many lines as there is room for; an address of many long lines is set smaller. */
function drawBlock(type: Typesetter, head: string, lines: readonly string[], x: number, top: number): void {
  type.line(head, x, top, HEAD);
  const room = 130;
  for (const size of [10, 8, 6]) {
    const style: Style = { size };
    const set = lines.flatMap((line) => type.wrap(line, HALF, style));
    const step = size * 1.4;
    if (set.length * step > room && size > 6) continue;
    const fits = set.slice(0, Math.floor(room / step));
    for (const [i, line] of fits.entries()) type.line(line, x, top + 15 + i * step, style);
    return;
  }
}

function drawTableHead(doc: PDFKit.PDFDocument, type: Typesetter, y: number): number {
  type.line('Goods', PAGE.margin, y, HEAD);
  type.line('Quantity', COLUMNS.qty, y, HEAD, 'right');
  type.line('Price each', COLUMNS.price, y, HEAD, 'right');
  type.line('Amount', COLUMNS.amount, y, HEAD, 'right');
  return drawRule(doc, y + 14) + 8;
}

/** Returns where the next thing may stand. */
function drawLines(doc: PDFKit.PDFDocument, type: Typesetter, content: Content, top: number): number {
  let y = drawTableHead(doc, type, top);
  for (const [i, item] of content.items.entries()) {
    const names = type.wrap(item.name, GOODS_WIDTH, BODY);
    const skus = type.wrap(item.sku, GOODS_WIDTH, SMALL);
    const height = names.length * 14 + skus.length * 12 + 8;
    // The last goods stand on one page with the sums: sums alone on a page are of nothing.
    const needed = height + (i === content.items.length - 1 ? TOTALS_HEIGHT : 0);
    if (y + needed > BOTTOM) y = drawTableHead(doc, type, newPage(doc, type, content));
    type.line(item.qty, COLUMNS.qty, y, BODY, 'right');
    type.line(item.price, COLUMNS.price, y, BODY, 'right');
    type.line(item.amount, COLUMNS.amount, y, BODY, 'right');
    for (const name of names) {
      type.line(name, PAGE.margin, y, BODY);
      y += 14;
    }
    for (const sku of skus) {
      type.line(sku, PAGE.margin, y, SMALL);
      y += 12;
    }
    y += 8;
  }
  return y;
}

function drawTotals(doc: PDFKit.PDFDocument, type: Typesetter, content: Content, top: number): void {
  let y = drawRule(doc, top) + 10;
  for (const [name, value] of content.totals) {
    type.line(name, COLUMNS.qty, y, BODY, 'right');
    type.line(value, COLUMNS.amount, y, BODY, 'right');
    y += 16;
  }
  y += 4;
  type.line('Total', COLUMNS.qty, y, { size: 13, bold: true }, 'right');
  type.line(content.total, COLUMNS.amount, y, { size: 13, bold: true }, 'right');
  if (content.payment) type.line(content.payment, COLUMNS.amount, y + 24, SMALL, 'right');
}

function newPage(doc: PDFKit.PDFDocument, type: Typesetter, content: Content): number {
  doc.addPage();
  type.line(`Invoice ${content.number}`, PAGE.margin, 44, { size: 10, bold: true });
  return 76;
}

function drawFeet(doc: PDFKit.PDFDocument, type: Typesetter, content: Content): void {
  const { start, count } = doc.bufferedPageRange();
  for (let page = start; page < start + count; page++) {
    doc.switchToPage(page);
    const y = PAGE.height - 40;
    type.line(`Invoice ${content.number}`, PAGE.margin, y, SMALL);
    type.line(`Page ${page - start + 1} of ${count}`, RIGHT, y, SMALL, 'right');
    if (type.missing()) {
      type.line(`${BOX} stands for a letter that this document has no font for.`, PAGE.margin, y - 14, SMALL);
    }
  }
}

function drawRule(doc: PDFKit.PDFDocument, y: number): number {
  doc.moveTo(PAGE.margin, y).lineTo(RIGHT, y).lineWidth(0.7).strokeColor(RULE).stroke();
  return y;
}
