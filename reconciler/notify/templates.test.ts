/** Every notice is whole, in both parts, and nobody can write into it what they like. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NoticeOrder } from '../../ledger/notices/notice-orders.ts';
import { createCompose } from './compose.ts';
import { isTexted, NOTICES } from './notice-table.ts';
import { bareFacts, sampleFacts } from './samples.ts';
import { loadTemplates } from './templates.ts';
import { noticeView } from './view.ts';
import { createWords } from './words.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'templates-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const shop = { name: 'Night Market', url: 'https://shop.example', reply_to: 'help@shop.example' };
const settings = { shop, locale: 'en', time_zone: 'UTC', seller: [] };
const compose = createCompose(settings);
const write = (name: string, text: string) => writeFileSync(join(folder, name), text);

describe.each(NOTICES)('the notice %s', (notice) => {
  it('says the same in text and HTML, with and without what an order may lack', async () => {
    for (const facts of [sampleFacts(notice), bareFacts(notice)]) {
      const { subject, text, html } = await compose.mail(facts);
      expect(subject.length).toBeGreaterThan(10);
      for (const part of [text, html]) {
        expect(part).toContain(`https://shop.example/?order=${facts.order.order_id}`);
        expect(part).toContain('Night Market');
        expect(part).not.toMatch(/undefined|null|NaN|\{\{|\[object/);
      }
      expect(text).not.toMatch(/<(p|td|h1|br|a)\b|&\w+;/);
      expect(html).toMatch(/^<!doctype html>/);
      expect(Buffer.byteLength(html)).toBeLessThan(60_000);
      // Nothing is loaded from anywhere: no picture tells that the mail was opened.
      expect(html).not.toMatch(/<img|<script|url\(|<link/);
    }
  });

  it('is short as a text, where it is one', () => {
    if (!isTexted(notice)) return;
    const text = compose.text(sampleFacts(notice));
    expect(text).not.toMatch(/undefined|null|\n|\{\{/);
    expect(text.length).toBeLessThan(320);
  });
});

it('the words of a payment that failed say why, and what to do next', async () => {
  const facts = sampleFacts('payment_failed');
  const { text } = await compose.mail(facts);
  expect(text).toContain('does not have enough money');
  expect(text).toContain('What to do next: Buy again with another card');
  const order = (code: string): NoticeOrder => ({
    ...facts.order,
    payment: { psp: 'stripe', method_type: 'card', decline_code: code },
  });
  // For whoever holds a card now, stolen reads as declined.
  const [stolen, declined] = await Promise.all(
    ['stolen_card', 'card_declined'].map((code) => compose.mail({ ...facts, order: order(code) })),
  );
  expect(stolen?.text).toBe(declined?.text);
});

it('a name that a template uses and nobody gives is an error, at the start', () => {
  write('expired.txt', 'Dear {{buyer.first_name}}, ...');
  expect(() => createCompose({ ...settings, template_dir: folder })).toThrow(
    'template layout.txt: there is no {{buyer.first_name}}',
  );
});

it('a template that does not parse, a file that is no template and a folder that is not there stop the start', () => {
  write('expired.txt', 'Dear {{#lines}}');
  expect(() => loadTemplates(folder)).toThrow(/template .*expired\.txt: Unclosed section "lines"/);
  write('expired.txt', 'fine');
  write('expird.html', 'never read');
  expect(() => loadTemplates(folder)).toThrow(/TEMPLATE_DIR: no notice has a file expird\.html/);
  expect(() => loadTemplates(join(folder, 'nowhere'))).toThrow('TEMPLATE_DIR: there is no folder');
});

it('templates of the deployment go before ours, file by file', async () => {
  write('confirmed.subject.txt', 'Merci, {{shop.name}}');
  mkdirSync(join(folder, 'drafts'));
  const own = createCompose({ ...settings, template_dir: folder });
  const { subject, text } = await own.mail(sampleFacts('confirmed'));
  expect(subject).toBe('Merci, Night Market');
  expect(text).toContain('Your order is confirmed');
});

describe('whatever people type', () => {
  const evil =
    'Eve\r\nBcc: victim@example.com\r\n\r\n<script>alert(1)</script>\u202egnp.exe\u2028 {{shop.name}} "quoted" &amp;';
  const facts = sampleFacts('shipped');
  const order: NoticeOrder = {
    ...facts.order,
    shipping_address: { ...facts.order.shipping_address!, name: evil, line1: evil },
    items: [{ sku: evil, name: evil, qty: 1, unit_price: 100 }],
    shipment: { carrier: evil, tracking_number: evil, tracking_url: 'javascript:alert(1)' },
  };

  it('is one line in a subject, and text in HTML', async () => {
    for (const notice of NOTICES) {
      const { subject, text, html } = await compose.mail({
        ...facts,
        notice,
        order: { ...order, invoice: null },
      });
      for (const part of [subject, text, html]) expect(part).not.toMatch(/\r|\u2028|\u202e/);
      expect(subject).not.toContain('\n');
      expect(text).not.toMatch(/^Bcc:/m);
      expect(html).not.toContain('<script>');
      expect(html).not.toContain('javascript:');
      // What looks like a template is none.
      if (notice === 'shipped') expect(text).toContain('{{shop.name}}');
    }
  });

  it('a link that is not of the web is none', () => {
    const words = createWords({ locale: 'en', time_zone: 'UTC' });
    const link = (tracking_url: string) =>
      noticeView(
        { ...facts, order: { ...order, shipment: { ...order.shipment!, tracking_url } } },
        shop,
        words,
      ).shipment?.tracking_url;
    expect(link('https://track.example/1?a=b')).toBe('https://track.example/1?a=b');
    for (const no of ['javascript:alert(1)', 'data:text/html,x', 'track.example', ' '])
      expect(link(no)).toBeNull();
  });
});

describe('amounts and times', () => {
  it('amounts have the decimals of their currency, exactly, wherever the locale puts the sign', () => {
    const en = createWords({ locale: 'en', time_zone: 'UTC' });
    expect(en.amount(129_900, 'INR')).toBe('₹1,299.00');
    expect(en.amount(129_900, 'JPY')).toBe('¥129,900');
    expect(en.amount(129_900, 'KWD').replaceAll('\u00a0', ' ')).toBe('KWD 129.900');
    expect(en.amount(-5, 'USD')).toBe('-$0.05');
    expect(en.amount(129_900, 'IDR', 'code').replaceAll('\u00a0', ' ')).toBe('IDR 1,299.00');
    expect(en.amount(Number.MAX_SAFE_INTEGER, 'USD')).toBe('$90,071,992,547,409.91');
    const de = createWords({ locale: 'de-DE', time_zone: 'Europe/Berlin' });
    expect(de.amount(129_900, 'EUR').replaceAll('\u00a0', ' ')).toBe('1.299,00 €');
  });

  it('times say their zone', () => {
    const at = new Date('2026-11-21T23:30:00Z');
    expect(createWords({ locale: 'en', time_zone: 'UTC' }).time(at)).toBe('November 21, 2026 at 23:30 UTC');
    expect(createWords({ locale: 'en-GB', time_zone: 'Asia/Kolkata' }).time(at)).toBe(
      '22 November 2026 at 05:00 GMT+5:30',
    );
  });
});
