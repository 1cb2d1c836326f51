/** Mails go in by real SMTP and come out as pages. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { exchangeRaw } from '../../../engine/testing/raw-http.ts';
import { startSmtp } from './smtp.ts';
import { type MailStore, openMailStore } from './store.ts';
import { createMailboxServer } from './web.ts';

let dir: string;
let store: MailStore;
let url: string;
let send: (mail: object) => Promise<unknown>;
let close: () => void;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mailbox-'));
  store = await openMailStore(dir, { mails_max: 3 });
  const smtp = await startSmtp(store, 0);
  const server = createMailboxServer(store);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const transport = createTransport({ host: '127.0.0.1', port: smtp.port });
  send = (mail) => transport.sendMail({ from: 'shop@shop.example', to: 'zoe@example.com', ...mail });
  close = () => {
    transport.close();
    smtp.close();
    server.close();
    server.closeAllConnections();
  };
});
afterEach(() => {
  close();
  rmSync(dir, { recursive: true, force: true });
});

const get = async (path: string, headers = {}) => {
  const response = await fetch(url + path, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
};
const newest = () => store.list()[0]?.id;

it('shows a mail with its HTML, text and attachments, and keeps it over a restart', async () => {
  expect((await get('/')).text).toContain('No mail yet');
  const pdf = Buffer.from('%PDF-1.7 not really');
  await send({
    subject: 'Your order <1>',
    text: 'Thank you.\nGrüße',
    html: '<h1>Thank you</h1><script>alert(1)</script><a href="http://shop.example/">shop</a>',
    attachments: [{ filename: 'invoice "1".pdf', content: pdf }],
  });
  const list = await get('/');
  expect(list.text).toContain('Your order &lt;1&gt;');
  expect(list.text).toContain('zoe@example.com');
  const id = newest();
  const page = await get(`/mails/${id}`);
  expect(page.text).toContain('Grüße');
  expect(page.text).toContain('sandbox="allow-popups');
  expect(page.text).not.toContain('<script>');
  const html = await get(`/mails/${id}/html`);
  // The script is in it, and the policy keeps it from running: no scripts, no origin, nothing loaded.
  expect(html.text).toContain('<script>');
  expect(html.headers.get('content-security-policy')).toMatch(/^sandbox (?!.*allow-(scripts|same-origin))/);
  expect(html.headers.get('content-security-policy')).toContain("default-src 'none'");
  const attachment = await fetch(`${url}/mails/${id}/attachments/0`);
  expect(attachment.headers.get('content-disposition')).toBe('attachment; filename="invoice__1_.pdf"');
  expect(Buffer.from(await attachment.arrayBuffer())).toEqual(pdf);
  expect((await get(`/mails/${id}/raw`)).headers.get('content-type')).toBe('text/plain; charset=utf-8');

  const again = await openMailStore(dir);
  expect(again.list()).toEqual(store.list());
});

it('keeps the newest so many', async () => {
  for (const no of [1, 2, 3, 4]) await send({ subject: `mail ${no}`, text: 'x' });
  expect(store.list().map(({ subject }) => subject)).toEqual(['mail 4', 'mail 3', 'mail 2']);
  expect(readdirSync(dir)).toHaveLength(3);
  const small = await openMailStore(dir, { bytes_max: 1 });
  expect(small.list()).toEqual([]);
  expect(readdirSync(dir)).toEqual([]);
});

it('refuses a mail that is too large, and takes the next', async () => {
  await expect(send({ subject: 'huge', text: 'x'.repeat(11 * 1024 * 1024) })).rejects.toThrow(
    /too large|size/i,
  );
  await send({ subject: 'small', text: 'x' });
  expect(store.list().map(({ subject }) => subject)).toEqual(['small']);
});

it('answers by the names of this machine alone, and finds nothing outside its folder', async () => {
  await send({ subject: 'x', text: 'x' });
  for (const path of [
    '/mails/..%2f..%2fetc%2fpasswd',
    '/mails/0',
    `/mails/${newest()}/attachments/7`,
    '/nope',
  ]) {
    expect([path, (await get(path)).status]).toEqual([path, 404]);
  }
  const foreign = await fetch(`${url}/clear`, {
    method: 'POST',
    headers: { 'sec-fetch-site': 'cross-site' },
  });
  expect(foreign.status).toBe(403);
  expect(store.list()).toHaveLength(1);
  const cleared = await fetch(`${url}/clear`, { method: 'POST', redirect: 'manual' });
  expect([cleared.status, store.list().length]).toEqual([303, 0]);
  const [foreign_name] = (
    await exchangeRaw(Number(new URL(url).port), ['GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n'])
  ).answers;
  expect(foreign_name?.status).toBe(421);
});
