/** Requests that must take nothing, whatever happens around them. Each says what is wrong with it. */
import type { Sent } from './http.ts';

type Broken = (body: Record<string, unknown>, headers: Record<string, string>) => Partial<Sent>;

const changed = (body: Record<string, unknown>, change: object): Partial<Sent> => ({
  body: JSON.stringify({ ...body, ...change }),
});
const items = (qty: unknown) => (body: Record<string, unknown>) =>
  changed(body, { items: [{ sku: (body.items as { sku: string }[])[0]?.sku, qty }] });

export const BROKEN: Readonly<Record<string, Broken>> = {
  own_price: (body) => changed(body, { price: 1 }),
  quantity_zero: items(0),
  quantity_negative: items(-1),
  quantity_fraction: items(1.5),
  quantity_text: items('1'),
  quantity_huge: items(1e9),
  unknown_sku: (body) => changed(body, { items: [{ sku: 'no-such-sku', qty: 1 }] }),
  unknown_sale: (body) => changed(body, { sale_id: 'no-such-sale' }),
  no_items: (body) => changed(body, { items: [] }),
  cut_off: (body) => ({ body: JSON.stringify(body).slice(0, -9) }),
  no_key: (_body, { 'idempotency-key': _key, ...headers }) => ({ headers }),
  no_token: (_body, { authorization: _token, ...headers }) => ({ headers }),
  forged_token: (_body, headers) => ({ headers: { ...headers, authorization: `${headers.authorization}x` } }),
};

export function breakRequest(name: string, sent: Sent): Partial<Sent> {
  const broken = BROKEN[name];
  if (!broken) throw new Error(`no broken request ${name}`);
  return broken(JSON.parse(sent.body ?? '{}') as Record<string, unknown>, sent.headers);
}
