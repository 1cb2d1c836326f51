import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dataFolder, type RunningStack, startStack } from '../e2e/support/stack.ts';
import { launchChromium } from './support/chromium.ts';
import { elsewhere, LAMP, openSale, openShop } from './support/shop.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const MUG = { sku: 'mug', name: 'Mug', unit_price: 900, qty: 5 };
const folder = dataFolder();
let stack: RunningStack;
let browser: Browser;

beforeAll(async () => {
  [stack, browser] = await Promise.all([startStack(folder.path), launchChromium()]);
});

afterAll(async () => {
  await browser?.close();
  await stack?.stop();
  folder.remove();
});

type Violation = { id: string; nodes: { target: string[]; failureSummary: string }[] };

describe('with orders, a code to scan, refusals and a product that is sold out', () => {
  test.each([
    ['desktop, light', { colorScheme: 'light', viewport: { width: 1280, height: 900 } }],
    ['desktop, dark', { colorScheme: 'dark', viewport: { width: 1280, height: 900 } }],
    ['phone, light', { colorScheme: 'light', viewport: { width: 320, height: 640 } }],
    ['phone, dark', { colorScheme: 'dark', viewport: { width: 360, height: 740 } }],
  ] as const)('%s', async (_, look) => {
    const sale = await openSale(stack, { items: [{ ...LAMP, qty: 2 }, MUG], limit_per_buyer: 2 });
    // Measured at rest: a colour in motion has no contrast.
    const shop = await openShop(browser, stack, sale, { ...look, reducedMotion: 'reduce' });
    const { page } = shop;
    await elsewhere(stack, sale, 2);
    await shop.untilText(shop.buy(), 'Sold out');
    await shop.buy('Mug').click();
    await shop.untilText(shop.receipt(), 'Confirmed');
    await page.locator('#pay-token').selectOption('pm_declined');
    await shop.buy('Mug').click();
    await shop.untilText(shop.receipt(), 'Payment declined');
    await page.locator('#pay-token').selectOption('pm_upi');
    await shop.buy('Mug').click();
    await page.getByRole('img', { name: 'QR code' }).waitFor();
    await page.getByRole('article', { name: 'Mug' }).getByLabel('Quantity').fill('2');
    await shop.buy('Mug').click();
    await shop.untilText(page.getByRole('article', { name: 'Mug' }).getByRole('alert'), 'The limit is 2');
    await page.getByText('Ship to').click();
    await page.getByText('Write to').click();

    await page.evaluate(AXE);
    const violations = (await page.evaluate(
      "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then((r) => r.violations)",
    )) as Violation[];
    expect(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.failureSummary)])).toEqual([]);
    // Nothing sticks out on any side.
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(look.viewport.width);
    await shop.close();
  });
});
