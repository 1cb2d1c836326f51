import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { dataFolder, type RunningStack, startStack } from '../e2e/support/stack.ts';
import { launchChromium } from './support/chromium.ts';
import {
  elsewhere,
  LAMP,
  openSale,
  openShop,
  type SaleOptions,
  type Shop,
  type TestSale,
} from './support/shop.ts';

const folder = dataFolder();
let stack: RunningStack;
let browser: Browser;
let shop: Shop;

beforeAll(async () => {
  [stack, browser] = await Promise.all([startStack(folder.path), launchChromium()]);
});

afterAll(async () => {
  await browser?.close();
  await stack?.stop();
  folder.remove();
});

afterEach(async () => {
  await shop?.close();
  expect(shop?.faults).toEqual([]);
});

async function shopWith(
  options: SaleOptions = {},
  before?: (page: Page) => Promise<unknown>,
  token?: string,
): Promise<TestSale> {
  const sale = await openSale(stack, options);
  shop = await openShop(browser, stack, sale, { before, token });
  return sale;
}

const pay = (token: string) => shop.page.locator('#pay-token').selectOption(token);
const stateOfOrder = () => shop.receipt().locator('.receipt-title');

describe('the storefront', () => {
  test('opens the demo sale by itself, for a buyer of its own', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    shop = { ...({} as Shop), faults: [], close: () => context.close() };
    await page.goto(`${stack.url}/`);
    await page.getByRole('button', { name: 'Buy 1 for $129.00 Aurora wireless headphones' }).click();
    await page.getByRole('heading', { name: 'Confirmed' }).waitFor({ timeout: 15_000 });
  });

  test('begins anew by itself when the engine does not know its token any more', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    shop = { ...({} as Shop), faults: [], close: () => context.close() };
    const claims = Buffer.from(JSON.stringify({ sub: 'old', exp: 9_999_999_999 })).toString('base64url');
    // Once: the page must not come back to it.
    await page.addInitScript(`
      if (!sessionStorage.seen) localStorage.setItem('stampede.demo-token', 'e30.${claims}.forged');
      sessionStorage.seen = 'yes';
    `);
    await page.goto(`${stack.url}/`);
    await page.getByRole('button', { name: 'Buy 1 for $74.00 Travel espresso kit' }).click();
    await page.getByRole('heading', { name: 'Confirmed' }).waitFor({ timeout: 15_000 });
  });

  test('buys: the order is confirmed, with its times, and is still there after a reload', async () => {
    await shopWith({ items: [LAMP], currency: 'IDR' });
    await shop.page.getByRole('button', { name: 'One more' }).click();
    await shop.untilText(shop.buy(), 'Buy 2 for IDR 90.00');
    await shop.buy().click();
    await shop.untilText(stateOfOrder(), 'Confirmed');
    await shop.untilLeft(8);
    await shop.untilText(shop.receipt().locator('.timeline'), 'Charged IDR 90.00');
    const events = await shop.receipt().locator('.timeline li').allInnerTexts();
    // Money keeps its sign by a space that does not break.
    const told = events.map((event) =>
      event.replaceAll('\u00a0', ' ').replace(/^\d\d:\d\d:\d\d [AP]M\s+/, ''),
    );
    expect(told).toEqual(['Reserved', 'Payment approved', 'Confirmed', 'Charged IDR 90.00']);
    await shop.page.reload();
    await shop.untilText(stateOfOrder(), 'Confirmed');
    expect(await shop.receipt().textContent()).toContain('2 × Reading lamp');
  });

  test('buys by keyboard alone, and says aloud what became of the order', async () => {
    await shopWith();
    await shop.buy().focus();
    await shop.page.keyboard.press('Enter');
    await shop.untilText(shop.page.getByRole('status'), 'Order: Confirmed');
    const focused = await shop.page.evaluate('document.activeElement.textContent');
    expect(focused).toBe('Confirmed');
  });

  test('shows stock fall while others buy, pushed and not asked for', async () => {
    const sale = await shopWith();
    await shop.untilText(shop.page.locator('#link'), 'Stock is live');
    const asked: string[] = [];
    shop.page.on('request', (request) => asked.push(request.url()));
    await shop.untilLeft(10);
    await elsewhere(stack, sale, 3);
    await shop.untilLeft(7);
    await elsewhere(stack, sale, 1);
    await shop.untilLeft(6);
    expect(asked).toEqual([]);
    const bars = shop.lane().locator('.barcode rect');
    expect(await shop.lane().locator('.barcode rect.gone').count()).toBe((await bars.count()) * 0.4);
  });

  test('goes on without a WebSocket, by asking', async () => {
    const sale = await shopWith({}, (page) => page.routeWebSocket(/\/live$/, (socket) => socket.close()));
    await shop.untilText(shop.page.locator('#link'), 'Stock every 2 seconds');
    await elsewhere(stack, sale, 4);
    await shop.untilLeft(6);
  });

  test('tells sold out when the last unit is sold', async () => {
    const sale = await shopWith({ items: [{ ...LAMP, qty: 2 }] });
    await elsewhere(stack, sale, 2);
    await shop.untilText(shop.buy(), 'Sold out');
    expect(await shop.buy().getAttribute('aria-disabled')).toBe('true');
  });

  test('tells how many are left to who wants more', async () => {
    await shopWith({ items: [{ ...LAMP, qty: 2 }] });
    await shop.page.getByLabel('Quantity').fill('3');
    await shop.buy().click();
    await shop.untilText(shop.lane().getByRole('alert'), 'Only 2 left');
  });

  test('tells when a held unit may come back, and buys it when it does', async () => {
    const sale = await shopWith({ items: [{ ...LAMP, qty: 1 }] });
    const token = stack.api.token('holder', 'buyer');
    const held = await stack.api.call('POST', '/v1/inventory/lock', {
      ...{ token, key: `holder-of-${sale.id}` },
      body: { sale_id: sale.id, items: [{ sku: 'lamp', qty: 1 }] },
    });
    await shop.untilText(shop.lane().locator('.stamp'), 'All held');
    await shop.buy().click();
    await shop.untilText(shop.lane().getByRole('alert'), 'All held by other buyers');
    await shop.untilText(shop.lane().locator('.notice'), /the first hold ends in 9 min \d\d s/);
    await stack.api.call('POST', `/v1/orders/${held.body.order_id}/cancel`, { token });
    await shop.untilText(shop.lane().getByRole('alert'), 'Back on sale');
    await shop.page.getByRole('button', { name: 'Try again' }).click();
    await shop.untilText(stateOfOrder(), 'Confirmed');
  });

  test('tells a declined payment, why, and that the unit is for sale again', async () => {
    await shopWith();
    await pay('pm_insufficient_funds');
    await shop.buy().click();
    await shop.untilText(stateOfOrder(), 'Payment declined');
    expect(await shop.receipt().textContent()).toContain('there is not enough money on it');
    await shop.untilLeft(10);
  });

  test('cancels an order', async () => {
    await shopWith();
    await shop.buy().click();
    await shop.untilText(stateOfOrder(), 'Confirmed');
    await shop.page.getByRole('button', { name: 'Cancel order' }).click();
    await shop.untilText(stateOfOrder(), 'Canceled');
    await shop.untilText(shop.receipt().locator('.timeline'), /Canceled.*(Refunded \$|Payment released)/);
    await shop.untilLeft(10);
  });

  test('tells the limit, and what it leaves', async () => {
    await shopWith({ limit_per_buyer: 1 });
    await shop.buy().click();
    await shop.untilText(stateOfOrder(), 'Confirmed');
    await shop.buy().click();
    await shop.untilText(shop.lane().getByRole('alert'), 'The limit is 1 for each buyer');
  });

  test('waits for a sale that is not open, by the clock of the engine', async () => {
    const opens_at = new Date(Date.now() + 2_500).toISOString();
    // A browser that thinks it is tomorrow.
    await shopWith({ opens_at }, (page) =>
      page.addInitScript(() => {
        const now = Date.now.bind(Date);
        Date.now = () => now() + 86_400_000;
      }),
    );
    await shop.untilText(shop.buy(), 'Not open yet');
    await shop.untilText(shop.page.locator('.countdown-line'), /Opens in\s*00:00:0\d/);
    await shop.untilText(shop.buy(), 'Buy 1');
    await shop.untilText(shop.page.locator('.countdown-line'), /Closes in\s*00:59:\d\d/);
  });

  test('tells that the sale is paused, and goes on when it does', async () => {
    const sale = await shopWith();
    const gate = (verb: string) =>
      stack.api.call('POST', `/v1/admin/sales/${sale.id}/${verb}`, { token: stack.admin });
    await gate('pause');
    await shop.untilText(shop.buy(), 'Paused');
    await gate('resume');
    await shop.untilText(shop.buy(), 'Buy 1');
    await gate('close');
    await shop.untilText(shop.buy(), 'Closed');
  });

  test('buys once under one key when the answer is lost, also over a reload', async () => {
    const keys: string[] = [];
    let lose = true;
    await shopWith({}, (page) =>
      page.route('**/v1/checkout', async (route) => {
        keys.push(route.request().headers()['idempotency-key'] ?? '');
        // Carried out, and nobody hears of it.
        const answer = await route.fetch();
        if (lose) await route.abort();
        else await route.fulfill({ response: answer });
      }),
    );
    await shop.buy().click();
    await shop.untilText(shop.lane().getByRole('alert'), 'No answer yet');
    await shop.page.reload();
    await shop.untilText(shop.lane().getByRole('alert'), 'No answer yet');
    lose = false;
    await shop.untilText(stateOfOrder(), 'Confirmed');
    expect(keys.length).toBeGreaterThan(2);
    expect(new Set(keys).size).toBe(1);
    await shop.untilLeft(9);
  });

  test('settles a purchase without an answer before it begins another', async () => {
    const sent: { key: string | undefined; sku: string }[] = [];
    let reachable = false;
    await shopWith({ items: [LAMP, { ...LAMP, sku: 'mug', name: 'Mug' }] }, (page) =>
      page.route('**/v1/checkout', (route) => {
        const request = route.request();
        sent.push({ key: request.headers()['idempotency-key'], sku: request.postDataJSON().items[0].sku });
        return reachable ? route.continue() : route.abort();
      }),
    );
    await shop.buy().click();
    await shop.page.getByRole('button', { name: 'Stop trying' }).click();
    await shop.untilText(shop.lane().getByRole('alert'), 'not known yet');
    reachable = true;
    await shop.buy('Mug').click();
    await shop.untilText(shop.receipt(), '1 × Reading lamp');
    expect(new Set(sent.map(({ key }) => key)).size).toBe(1);
    expect(new Set(sent.map(({ sku }) => sku))).toEqual(new Set(['lamp']));
  });

  test('shows a sale to a visitor without a token, and how to come with one', async () => {
    const noDemo = (page: Page) => page.route('**/demo/session', (route) => route.fulfill({ status: 404 }));
    await shopWith({}, noDemo, '');
    await shop.untilText(shop.buy(), 'Only to look at');
    await shop.untilText(shop.page.locator('#look-only'), '#token=JWT');
    await shop.untilLeft(10);
  });

  test('takes the token out of the address bar', async () => {
    const sale = await shopWith();
    expect(shop.page.url()).toBe(`${stack.url}/?sale=${sale.id}`);
  });

  test('tells an expired hold when the payment comes too late', async () => {
    await shopWith({ hold_seconds: 2 });
    await pay('pm_late');
    await shop.buy().click();
    await shop.untilText(stateOfOrder(), 'Held for you');
    // A ledger that has just started gives everybody a grace.
    await stateOfOrder().filter({ hasText: 'Hold expired' }).waitFor({ timeout: 60_000 });
    await shop.untilLeft(10);
  });
});
