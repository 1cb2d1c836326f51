/** Invoices, read back by another library than the one that wrote them. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import type { NoticeOrder } from '../../../ledger/notices/notice-orders.ts';
import { sampleFacts } from '../samples.ts';
import { readPdf } from '../testing/read-pdf.ts';
import { createWords } from '../words.ts';
import { createFontShelf, type FontFiles, loadFonts } from './fonts.ts';
import { makeInvoice } from './invoice.ts';
import { BOX } from './typesetter.ts';

const shelf = createFontShelf(loadFonts());
const SELLER = ['Night Market Ltd', '1 Quay Road', 'Bristol BS1 4AA', 'VAT GB 123 4567 89'];
const sample = sampleFacts('confirmed').order;

function order(change: Partial<NoticeOrder> = {}, name?: string): NoticeOrder {
  const plain = {
    ...sample.shipping_address,
    name: name ?? 'Ada Lovelace',
  } as NoticeOrder['shipping_address'];
  return { ...sample, shipping_address: plain, ...change };
}

function goods(currency: string, unit_price: number, count: number, name = 'Aurora wireless headphones') {
  const items = Array.from({ length: count }, (_, i) => ({
    sku: `sku-${i + 1}`,
    name: `${name} ${i + 1}`,
    qty: 2,
    unit_price,
  }));
  const subtotal = 2 * unit_price * count;
  return { items, amounts: { currency, subtotal, discount: 0, shipping: 0, tax: 0, total: subtotal } };
}

const make = (made: NoticeOrder, change: { locale?: string; fonts?: FontFiles } = {}) =>
  makeInvoice(made, {
    shop_name: 'Night Market',
    seller: SELLER,
    words: createWords({ locale: change.locale ?? 'en', time_zone: 'UTC' }),
    fonts: change.fonts ? createFontShelf(change.fonts) : shelf,
  });

it('says who sells what to whom, what it costs and how it is paid', async () => {
  const { pdf, filename } = await make(order());
  const read = await readPdf(pdf);
  expect(filename).toBe('INV-001042.pdf');
  expect(read.pages).toBe(1);
  for (const line of [
    'Invoice',
    'Invoice number INV-001042',
    'Date November 21, 2026',
    `Order ${sample.order_id}`,
    'Night Market Ltd Ada Lovelace',
    'VAT GB 123 4567 89 SW1Y 4JH London',
    'Aurora wireless headphones 2 USD 129.00 USD 258.00',
    'Trail watch, titanium <limited edition> 1 USD 249.00 USD 249.00',
    'Subtotal USD 507.00',
    'Discount -USD 50.00',
    'Shipping USD 9.00',
    'Tax USD 91.40',
    'Total USD 557.40',
    'Payment: Card, through Stripe',
    'Invoice INV-001042 Page 1 of 1',
  ]) {
    expect(read.lines.map((text) => text.replaceAll('\u00a0', ' '))).toContain(line);
  }
  expect(read.info).toMatchObject({ Title: 'Invoice INV-001042', Author: 'Night Market' });
});

it('figures end in one column, and no text leaves the page or runs into the next', async () => {
  const { pdf } = await make(
    order(goods('USD', 12_345_678_900, 3, 'A very long name of goods that goes on and on')),
  );
  const { texts } = await readPdf(pdf);
  const amounts = texts.filter(({ text }) => /\d\.\d\d$/.test(text));
  const edges = new Set(amounts.map(({ right }) => Math.round(right)));
  expect([...edges].sort()).toEqual([440, 545]);
  for (const text of texts)
    expect([text.text, text.x >= 49, text.right <= 546]).toEqual([text.text, true, true]);
  const names = texts.filter(({ text, x }) => x < 60 && text.startsWith('A very long'));
  expect(Math.max(...names.map(({ right }) => right))).toBeLessThan(300);
});

it('50 lines take several pages, each with the head of the table, and all lines are there once', async () => {
  const { pdf } = await make(order(goods('USD', 12_900, 50)));
  const { pages, lines } = await readPdf(pdf);
  expect(pages).toBeGreaterThan(2);
  expect(lines.filter((line) => line.startsWith('Goods Quantity'))).toHaveLength(pages);
  for (let no = 1; no <= 50; no++) {
    expect(lines.filter((line) => line.startsWith(`Aurora wireless headphones ${no} 2 `))).toHaveLength(1);
  }
  expect(lines).toContain(`Invoice INV-001042 Page ${pages} of ${pages}`);
  expect(lines.filter((line) => line.startsWith('Total'))).toHaveLength(1);
});

it('however many lines there are, the sums stand on one page with the last of them, above its foot', async () => {
  for (const count of [13, 14, 15, 16, 17, 18]) {
    const { texts } = await readPdf((await make(order(goods('USD', 12_900, count)))).pdf);
    const total = texts.find(({ text }) => text === 'Total')!;
    expect(texts.some(({ text, page }) => text === `sku-${count}` && page === total.page)).toBe(true);
    expect(total.y).toBeLessThan(772);
  }
});

it.each([
  ['JPY', 129_900, 'JPY 129,900', 'JPY 259,800'],
  ['KWD', 129_900, 'KWD 129.900', 'KWD 259.800'],
  ['INR', 129_900, 'INR 1,299.00', 'INR 2,598.00'],
  ['IDR', 129_900, 'IDR 1,299.00', 'IDR 2,598.00'],
])('%s has its own decimals', async (currency, price, each, total) => {
  const { lines } = await readPdf((await make(order(goods(currency, price, 1)))).pdf);
  const plain = lines.map((line) => line.replaceAll('\u00a0', ' '));
  expect(plain).toContain(`Aurora wireless headphones 1 2 ${each} ${total}`);
  expect(plain).toContain(`Total ${total}`);
});

it('the same order is the same bytes', async () => {
  for (const name of ['Ada Lovelace', 'محمد الخوارزمي']) {
    const one = await make(order({}, name));
    // Whatever was made in between.
    await make(order(goods('KWD', 33, 3, 'سماعات'), 'علی Ğ Ж'));
    const two = await make(order({}, name));
    expect(one.pdf.equals(two.pdf)).toBe(true);
  }
});

it.each([
  ['Zoë Müller', 'Windows-1252'],
  ['Łukasz Žižka Ğ ₹', 'Latin and signs of currencies'],
  ['Ωμέγα Жуковский', 'Greek and Cyrillic'],
])('%s is written as it is (%s)', async (name) => {
  const { pdf, letters_missing } = await make(order({}, name));
  expect(letters_missing).toBe(false);
  const { lines } = await readPdf(pdf);
  expect(lines).toContain(`Night Market Ltd ${name}`);
});

it('Arabic and Hebrew are joined and read from right to left', async () => {
  // The last letter looks like another one in Persian, and is drawn by the same glyph: whoever copies it gets their own.
  await make(order({}, 'علی'));
  const { pdf, letters_missing } = await make(order({}, 'محمد بن موسى'));
  expect(letters_missing).toBe(false);
  const { texts } = await readPdf(pdf);
  const words = texts.filter(({ text }) => /\p{Script=Arabic}/u.test(text.normalize('NFKC')));
  const fromTheRight = [...words].sort((a, b) => b.x - a.x).map(({ text }) => text.normalize('NFKC'));
  expect(fromTheRight.map((word) => [...word].sort().join(''))).toEqual(
    ['محمد', 'بن', 'موسى'].map((word) => [...word].sort().join('')),
  );
});

it('letters that no font has are shown as boxes, and the invoice says so', async () => {
  const { pdf, letters_missing } = await make(order({}, '山田 太郎 🎧 Yamada'));
  expect(letters_missing).toBe(true);
  const { lines } = await readPdf(pdf);
  expect(lines).toContain(`Night Market Ltd ${BOX.repeat(2)} ${BOX.repeat(2)} ${BOX} Yamada`);
  expect(lines.some((line) => line.includes('stands for a letter that this document has no font for'))).toBe(
    true,
  );
});

it('a font of the deployment has its letters: nothing is missing then', async () => {
  const folder = createRequire(import.meta.url)
    .resolve('pdfjs-dist/package.json')
    .replace('package.json', 'standard_fonts/');
  const latin = {
    regular: readFileSync(`${folder}LiberationSans-Regular.ttf`),
    bold: readFileSync(`${folder}LiberationSans-Bold.ttf`),
  };
  const name = 'Ada ₹ Lovelace';
  expect((await make(order({}, name), { fonts: latin })).letters_missing).toBe(true);
  const more = { file: loadFonts().regular };
  const { pdf, letters_missing } = await make(order({}, name), { fonts: { ...latin, more } });
  expect(letters_missing).toBe(false);
  expect((await readPdf(pdf)).lines).toContain(`Night Market Ltd ${name}`);
});

it('an order without an address or a payment has an invoice, too; what nobody can write is cut, not spilled', async () => {
  const bare = await make(
    order({ shipping_address: null, contact: { email: 'zoe@example.com' }, payment: null }),
  );
  expect((await readPdf(bare.pdf)).lines).toContain('Night Market Ltd zoe@example.com');
  const long = 'W'.repeat(200);
  const address = {
    name: long,
    line1: long,
    line2: long,
    city: long,
    region: long,
    postal_code: long,
    country: 'GB',
  };
  const { texts } = await readPdf((await make(order({ shipping_address: address }))).pdf);
  const block = texts.filter(({ text }) => /^W+$/.test(text));
  expect(Math.max(...block.map(({ right }) => right))).toBeLessThan(546);
  expect(Math.max(...block.map(({ y }) => y))).toBeLessThan(320);
});
