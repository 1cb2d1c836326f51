/** Payments that do not just go through, as a buyer sees them: what happened, and what to do next. */
import { randomUUID } from 'node:crypto';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../../platform/local/ports.ts';
import { dataFolder, type RunningStack, startStack } from '../e2e/support/stack.ts';
import { launchChromium } from './support/chromium.ts';
import { LAMP, openSale, openShop, type SaleOptions, type Shop, type TestSale } from './support/shop.ts';

/** Long enough for a look that comes late on a busy machine. */
const LATE_MS = 60_000;
const SECRET = 'browser-tests-secret-of-the-sandbox';
const folder = dataFolder();
let stack: RunningStack;
let browser: Browser;
let shop: Shop;

beforeAll(async () => {
  const port = String(await freePort());
  const settings = { PORT: port, PUBLIC_URL: `http://127.0.0.1:${port}`, PSP_SANDBOX_SECRET: SECRET };
  [stack, browser] = await Promise.all([startStack(folder.path, settings), launchChromium()]);
});

afterAll(async () => {
  await browser?.close();
  await stack?.stop();
  folder.remove();
});

beforeEach(() => setFaults());

afterEach(async () => {
  await shop?.close();
  expect(shop?.faults).toEqual([]);
});

async function setFaults(...faults: object[]): Promise<void> {
  const sandbox = stack.output().match(/Sandbox PSP\s+(http:\S+)/)?.[1];
  const response = await fetch(`${sandbox}/admin/faults`, {
    method: 'POST',
    headers: { authorization: `Bearer ${SECRET}` },
    body: JSON.stringify({ faults }),
  });
  expect(response.status).toBe(200);
}

/** Opens the page on a sale of its own and presses Buy, paying with this token. */
async function buyWith(token: string, options: SaleOptions = {}, before?: (page: Page) => Promise<unknown>) {
  const sale = await openSale(stack, options);
  shop = await openShop(browser, stack, sale, { before });
  await shop.page.getByLabel('Pay with').selectOption(token);
  await shop.buy().click();
  return sale;
}

const title = () => shop.receipt().locator('.receipt-title');
const untilTitle = (text: string | RegExp, timeout?: number) =>
  title().filter({ hasText: text }).waitFor({ timeout });
const textOf = async () => (await shop.receipt().textContent()) ?? '';
const focused = () => shop.page.evaluate<string>('document.activeElement.textContent');
const orderId = async () => (await shop.receipt().getAttribute('data-order')) as string;

/** Goes to the bank's page by the receipt's own link, and decides there. */
async function atTheBank(link: string, decision: 'Approve' | 'Decline'): Promise<void> {
  await shop.page.getByRole('link', { name: link }).click();
  await shop.page.getByRole('button', { name: decision }).click();
  await shop.page.waitForURL(/\/\?order=/);
}

/** As an operator. */
async function admin(what: string, body: object): Promise<void> {
  const path = `/v1/admin/orders/${await orderId()}/${what}`;
  const request = { token: stack.admin, key: randomUUID(), body };
  const { status, body: answer } = await stack.api.call('POST', path, request);
  expect([path, status < 300, answer.code]).toEqual([path, true, undefined]);
}

describe('a payment that asks its buyer', () => {
  test('3-D Secure, approved: back from the bank the order is there, confirmed and in focus', async () => {
    await buyWith('pm_3ds');
    await untilTitle('Your bank asks you');
    await shop.untilText(shop.receipt().locator('.hold'), /Held for (9|10) min \d\d s/);
    const order_id = await orderId();
    await atTheBank('Confirm with your bank', 'Approve');
    expect(new URL(shop.page.url()).search).toBe(`?order=${order_id}`);
    await untilTitle('Confirmed', LATE_MS);
    await shop.untilText(shop.receipt().locator('.timeline'), 'Charged $45.00');
    expect(await focused()).toBe('Confirmed');
    expect(await shop.lane().count()).toBe(1);
    await shop.page.reload();
    await untilTitle('Confirmed');
  });

  test('3-D Secure, declined: why, that nothing was charged, and the same again in another way', async () => {
    await buyWith('pm_3ds');
    await untilTitle('Your bank asks you');
    await atTheBank('Confirm with your bank', 'Decline');
    await untilTitle('Payment declined', LATE_MS);
    expect(await textOf()).toMatch(
      /did not get a confirmation from you.*Nothing was charged.*Buy again for \$45\.00/,
    );
    await shop.untilLeft(10);
    await shop.page.getByRole('button', { name: 'Buy again for $45.00' }).click();
    await untilTitle('Confirmed', LATE_MS);
  });

  test('3-D Secure, approved by the buyer and turned down by the bank', async () => {
    await buyWith('pm_3ds_declined');
    await untilTitle('Your bank asks you');
    await atTheBank('Confirm with your bank', 'Approve');
    await untilTitle('Payment declined', LATE_MS);
  });

  test('a wallet: its page, and back', async () => {
    await buyWith('pm_wallet');
    await untilTitle('Your wallet asks you');
    await atTheBank('Go to your wallet', 'Approve');
    await untilTitle('Confirmed', LATE_MS);
  });

  test('UPI: a link for the phone, a code for another one, and the page follows by itself', async () => {
    await buyWith('pm_upi');
    await untilTitle('Approve it in your UPI app');
    const link = shop.page.getByRole('link', { name: 'Open your UPI app' });
    expect(await link.getAttribute('href')).toMatch(/^upi:\/\/pay\?/);
    await shop.page.getByRole('img', { name: 'QR code' }).waitFor();
    await untilTitle('Confirmed', LATE_MS);
    expect(await link.count()).toBe(0);
  });

  test('nobody answers the bank until the hold ends', async () => {
    await buyWith('pm_3ds', { hold_seconds: 2 });
    // Whoever says so first: the bank, or the ledger's clock.
    await untilTitle(/Not approved in time|Hold expired/, LATE_MS);
    expect(await textOf()).toMatch(/units went back on sale/);
    await shop.page.getByRole('button', { name: 'Buy again for $45.00' }).waitFor();
    await shop.untilLeft(10);
  });
});

describe('a payment that is declined', () => {
  test('for want of money: the reason, and the same units again, with another card and under another key', async () => {
    const sent: { key: string | undefined; body: { items: object; payment_method: object } }[] = [];
    await buyWith('pm_insufficient_funds', {}, (page) =>
      page.route('**/v1/checkout', (route) => {
        sent.push({
          key: route.request().headers()['idempotency-key'],
          body: route.request().postDataJSON(),
        });
        return route.continue();
      }),
    );
    await untilTitle('Payment declined');
    expect(await textOf()).toMatch(/not enough money on it\. Nothing was charged\..*Pay with another card/);
    await shop.receipt().getByLabel('Pay with').selectOption('pm_slow');
    await shop.receipt().getByRole('button', { name: 'Buy again for $45.00' }).click();
    await untilTitle('Confirmed', LATE_MS);
    expect(sent.map(({ body }) => body.items)).toEqual([sent[0]?.body.items, sent[0]?.body.items]);
    expect(sent[1]?.body.payment_method).toEqual({ type: 'card', token: 'pm_slow' });
    expect(new Set(sent.map(({ key }) => key)).size).toBe(2);
    // What has been bought again is not offered once more.
    expect(await shop.page.getByRole('button', { name: /^Buy again/ }).count()).toBe(0);
  });

  test('and meanwhile somebody else has bought the last one: that is said where it was asked', async () => {
    const sale = await buyWith('pm_declined', { items: [{ ...LAMP, qty: 1 }] });
    await untilTitle('Payment declined');
    await shop.untilLeft(1);
    const { status } = await stack.api.call('POST', '/v1/inventory/lock', {
      ...{ token: stack.api.token('quicker', 'buyer'), key: randomUUID() },
      body: { sale_id: sale.id, items: [{ sku: 'lamp', qty: 1 }] },
    });
    expect(status).toBe(201);
    await shop.page.getByRole('button', { name: 'Buy again for $45.00' }).click();
    await shop.untilText(shop.receipt().getByRole('alert').first(), 'All held by other buyers');
  });
});

describe('a provider in trouble', () => {
  test('down: it takes longer, the units stay held, and it goes through when the provider is back', async () => {
    await setFaults({ on: '*', kind: 'unavailable' });
    await buyWith('pm_ok');
    await untilTitle('This takes longer than usual', LATE_MS);
    expect(await textOf()).toContain('never charged twice');
    await setFaults();
    await untilTitle('Confirmed', LATE_MS);
  });
});

describe('an order after its payment', () => {
  async function confirmed(email?: string): Promise<TestSale> {
    const sale = await openSale(stack);
    shop = await openShop(browser, stack, sale);
    if (email) await writeTo(email);
    await shop.buy().click();
    await shop.untilText(shop.receipt().locator('.timeline'), 'Charged $45.00');
    return sale;
  }

  async function writeTo(email: string): Promise<void> {
    await shop.page.getByText('Write to').click();
    await shop.page.getByLabel('E-mail').fill(email);
  }

  test('tells where the confirmation goes, and keeps the address for the next time', async () => {
    await confirmed('grace@example.com');
    expect(await textOf()).toContain('The confirmation goes to grace@example.com.');
    await shop.page.reload();
    await shop.untilText(shop.page.locator('summary').first(), 'Write to grace@example.com');
  });

  test('does not send an address that is none', async () => {
    const sale = await openSale(stack);
    shop = await openShop(browser, stack, sale);
    await writeTo('grace@example');
    await shop.page.getByText('Write to').click();
    await shop.buy().click();
    expect(await shop.page.evaluate('document.activeElement.id')).toBe('pay-email');
    expect(await shop.page.locator('.receipt').count()).toBe(0);
  });

  test('is seen to be shipped, refunded in part, delivered and refunded, without a reload', async () => {
    await confirmed();
    const tracking = { carrier: 'DHL', tracking_number: 'JD014', tracking_url: 'https://dhl.example/JD014' };
    await admin('ship', tracking);
    await untilTitle('Shipped', LATE_MS);
    const track = shop.page.getByRole('link', { name: 'Track the parcel' });
    expect(await track.getAttribute('href')).toBe(tracking.tracking_url);
    expect(await track.getAttribute('rel')).toContain('noopener');
    expect(await textOf()).toContain('DHL JD014');
    await admin('refund', { amount: 500, reason: 'a scratch' });
    await shop.untilText(shop.receipt(), '$5.00 of $45.00 was given back');
    await admin('deliver', {});
    await untilTitle('Delivered', LATE_MS);
    await admin('refund', {});
    await untilTitle('Refunded', LATE_MS);
    await shop.receipt().filter({ hasText: '$45.00 was given back' }).waitFor({ timeout: LATE_MS });
    expect(await shop.receipt().locator('.timeline').textContent()).toMatch(
      /Handed to DHL.*Shipped.*Refunded \$5\.00 of it.*Delivered.*Refunded \$40\.00/,
    );
  });

  test('is told to be another session’s where it is, and the shop is there all the same', async () => {
    await confirmed();
    const order_id = await orderId();
    await shop.close();
    const sale = await openSale(stack);
    shop = await openShop(browser, stack, sale);
    await shop.page.goto(`${stack.url}/?order=${order_id}`);
    await untilTitle('Not an order of yours here');
    await shop.untilText(shop.receipt(), 'another session');
    await shop.untilLeft(10);
    expect(await shop.receipt().getByRole('button').count()).toBe(0);
  });
});
