/** The sale that a newcomer sees: made at the first start, followed by another when it is over. */
import pg from 'pg';
import type { ProviderName } from '../config-providers.ts';

/** `psp` absent: made before sales could name their provider, so the sandbox. */
export type Demo = { id: string; closes_at: string; psp?: ProviderName };

const OPEN_MS = 72 * 3_600_000;

const ITEMS = [
  { sku: 'aurora-headphones', name: 'Aurora wireless headphones', unit_price: 12_900, qty: 60 },
  { sku: 'trail-watch', name: 'Trail watch, titanium', unit_price: 24_900, qty: 25 },
  { sku: 'pocket-projector', name: 'Pocket projector', unit_price: 31_900, qty: 15 },
  { sku: 'espresso-kit', name: 'Travel espresso kit', unit_price: 7_400, qty: 80 },
  { sku: 'night-poster', name: 'Night market poster, signed', unit_price: 1_900, qty: 8 },
] as const;

/** What the ready-made curl line buys. */
export const DEMO_SKU = ITEMS[0].sku;

/** Those that don't take dollars: what they take, and about how much of it a dollar is, in minor units for a cent. */
const MONEY: Partial<Record<ProviderName, { currency: string; per_cent: number }>> = {
  midtrans: { currency: 'IDR', per_cent: 16_000 },
  razorpay: { currency: 'INR', per_cent: 85 },
};

export function demoSaleBody(demo: Demo) {
  const { currency, per_cent } = MONEY[demo.psp ?? 'sandbox'] ?? { currency: 'USD', per_cent: 1 };
  const items = ITEMS.map((item) => ({ ...item, unit_price: item.unit_price * per_cent }));
  return { ...demo, currency, hold_seconds: 120, limit_per_buyer: 4, items };
}

/**
 * The demo sale to show from now on: the last one, or the next if that is closed or sold out in the ledger, or paid at
 * another provider than is wanted now.
 */
export async function presentDemo(
  last: Demo | undefined,
  options: { psp: ProviderName; database_url: string; now_ms: number },
): Promise<Demo> {
  const { psp, database_url, now_ms } = options;
  const number = last ? Number(last.id.slice('demo-'.length)) || 1 : 0;
  const fits = last && (last.psp ?? 'sandbox') === psp && Date.parse(last.closes_at) > now_ms;
  if (fits && !(await isOver(last, database_url))) return last;
  return {
    id: number === 0 ? 'demo' : `demo-${number + 1}`,
    closes_at: new Date(now_ms + OPEN_MS).toISOString(),
    psp,
  };
}

async function isOver(demo: Demo, database_url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: database_url });
  client.on('error', () => {});
  await client.connect();
  try {
    const { rows } = await client.query<{ over: boolean }>(
      `SELECT s.gate = 'closed' OR sum(k.total - k.reserved - k.sold) <= 0 AS over
         FROM sales s JOIN skus k USING (sale_no)
        WHERE s.tenant = 'default' AND s.id = $1
        GROUP BY s.gate`,
      [demo.id],
    );
    return rows[0]?.over ?? false;
  } finally {
    await client.end();
  }
}

/** Creates the demo sale over the API; the same body again changes nothing. Throws if the engine refuses. */
export async function createDemoSale(url: string, admin_token: string, demo: Demo): Promise<void> {
  const response = await fetch(`${url}/v1/admin/sales`, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin_token}`, 'content-type': 'application/json' },
    body: JSON.stringify(demoSaleBody(demo)),
    signal: AbortSignal.timeout(15_000),
  });
  const answer = await response.text();
  // A newer version may have other products: the sale that is there stays as it is.
  if (response.status === 201 || (response.status === 409 && answer.includes('sale_exists'))) return;
  throw new Error(`The demo sale was refused: ${response.status} ${answer}`);
}
