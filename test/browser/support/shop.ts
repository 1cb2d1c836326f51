/** The storefront as a test sees it: a sale of the test's own, a page on it, and what stands on that page. */
import { randomUUID } from 'node:crypto';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import type { RunningStack } from '../../e2e/support/stack.ts';

export type TestSale = { id: string; closes_at: string };

export type SaleOptions = {
  items?: { sku: string; name: string; unit_price: number; qty: number }[];
  currency?: string;
  hold_seconds?: number;
  limit_per_buyer?: number;
  opens_at?: string;
  psp?: string;
};

export const LAMP = { sku: 'lamp', name: 'Reading lamp', unit_price: 4_500, qty: 10 };

/** A sale that closes in an hour. Default: ten lamps, no limit. */
export async function openSale(stack: RunningStack, options: SaleOptions = {}): Promise<TestSale> {
  const id = `page-${randomUUID().slice(0, 8)}`;
  const closes_at = new Date(Date.now() + 3_600_000).toISOString();
  const body = {
    ...{ id, closes_at, currency: 'USD', hold_seconds: 600, limit_per_buyer: 0, items: [LAMP] },
    ...options,
  };
  const { status, body: answer } = await stack.api.call('POST', '/v1/admin/sales', {
    token: stack.admin,
    body,
  });
  if (status !== 201) throw new Error(`sale refused: ${status} ${JSON.stringify(answer)}`);
  return { id, closes_at };
}

export const ADDRESS = {
  name: 'Grace Hopper',
  line1: '1 Navy Yard',
  city: 'Arlington',
  postal_code: '22202',
  country: 'US',
};

/** Somebody else buys, or with `lock` only holds. */
export async function elsewhere(
  stack: RunningStack,
  sale: TestSale,
  qty: number,
  road: 'checkout' | 'lock' = 'checkout',
): Promise<string> {
  const path = road === 'checkout' ? '/v1/checkout' : '/v1/inventory/lock';
  const items = [{ sku: 'lamp', qty }];
  const paid = { payment_method: { type: 'card', token: 'pm_ok' }, shipping_address: ADDRESS };
  const { status, body } = await stack.api.call('POST', path, {
    token: stack.api.token(`other-${randomUUID()}`, 'buyer'),
    key: randomUUID(),
    body: { sale_id: sale.id, items, ...(road === 'checkout' && paid) },
  });
  if (status !== 201) throw new Error(`refused: ${status} ${JSON.stringify(body)}`);
  return String(body.order_id);
}

export type Shop = {
  page: Page;
  lane(name?: string): Locator;
  buy(name?: string): Locator;
  /** Of the newest order. */
  receipt(): Locator;
  /** Units left, as the page says. */
  untilLeft(count: number): Promise<void>;
  untilText(locator: Locator, text: string | RegExp): Promise<void>;
  /** What the page must never do: errors, requests to others. */
  faults: string[];
  close(): Promise<void>;
};

export const PATIENCE_MS = 15_000;

/** Opens the page for a buyer of this sale, with an address filled in; `before` sees the page first. */
export async function openShop(
  browser: Browser,
  stack: RunningStack,
  sale: TestSale,
  options: BrowserContextOptions & { before?: (page: Page) => Promise<unknown>; token?: string } = {},
): Promise<Shop> {
  const { before, token = stack.api.token(`page-${randomUUID()}`, 'buyer'), ...context_options } = options;
  const context = await browser.newContext({
    locale: 'en-US',
    viewport: { width: 1280, height: 900 },
    ...context_options,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    // A refusal is an answer with a status over 400; the browser mentions each.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
      faults.push(message.text());
  });
  page.on('request', (request) => {
    // A link that the buyer follows, as to a bank, leads elsewhere; the page itself asks nobody else.
    const followed = request.isNavigationRequest() && request.frame() === page.mainFrame();
    if (!followed && new URL(request.url()).origin !== new URL(stack.url).origin)
      faults.push(`asked for ${request.url()}`);
  });
  const stored = JSON.stringify(JSON.stringify(ADDRESS));
  await page.addInitScript(`localStorage.setItem('stampede.address', ${stored})`);
  await before?.(page);
  await page.goto(`${stack.url}/?sale=${sale.id}#${token && `token=${token}`}`);

  const lane = (name = LAMP.name) => page.getByRole('article', { name, exact: true });
  const shop: Shop = {
    page,
    lane,
    buy: (name = LAMP.name) => lane(name).locator('.buy'),
    receipt: () => page.locator('.receipt').first(),
    untilText: (locator, text) => locator.filter({ hasText: text }).waitFor(),
    untilLeft: (count) => shop.untilText(lane().locator('.left'), new RegExp(`^${count}\\s*left$`)),
    faults,
    close: () => context.close(),
  };
  await lane().or(page.locator('.lane')).first().waitFor();
  return shop;
}
