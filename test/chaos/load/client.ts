/** Buyers and operators: one request each, written into the history with what came of it. */
import { createSigner } from 'fast-jwt';
import type { BuyKind, DeedLine, Item, OperateLine, SaleLine } from '../checker/lines.ts';
import type { History } from '../history.ts';
import { breakRequest } from './broken.ts';
import type { Http, Reply, Sent } from './http.ts';

export type Purchase = {
  sale: string;
  buyer: string;
  key: string;
  road: 'checkout' | 'lock';
  items: Item[];
  pay_token: string;
};

export type Bought = { status?: number; code?: string; order_id?: string; sent: number };

export type Client = {
  http: Http;
  buy(
    purchase: Purchase,
    kind: BuyKind,
    options?: { engine?: number; abort_ms?: number; broken?: string },
  ): Promise<Bought>;
  deed(line: Pick<DeedLine, 'deed' | 'order_id' | 'amount'>, purchase: Purchase): Promise<number | undefined>;
  /** Tried until it is answered for good. True if it was done. */
  operate(line: Pick<OperateLine, 'verb' | 'sale' | 'key' | 'items'>, tries?: number): Promise<boolean>;
  createSale(sale: SaleLine & { hold_seconds: number }): Promise<void>;
  stock(sale: string): Promise<{ sku: string; available: number; held: number }[] | undefined>;
};

const TOKEN_SECONDS = 12 * 3_600;
/** Long enough before now for every clock that is off, long enough after it, too. */
const CLOCKS_OFF_SECONDS = 3_600;

export function createClient(options: {
  http: Http;
  engines: number;
  history: History;
  jwt_secret: string;
  random: () => number;
  sleep: (ms: number) => Promise<void>;
}): Client {
  const { http, history, random, sleep } = options;
  const sign = createSigner({ key: options.jwt_secret, algorithm: 'HS256', noTimestamp: true });
  const exp = Math.floor(Date.now() / 1_000) + TOKEN_SECONDS + CLOCKS_OFF_SECONDS;
  const token = (sub: string, role: string) => sign({ sub, role, aud: 'stampede', exp });
  const admin = token('operator', 'admin');
  const any = () => Math.floor(random() * options.engines);
  const json = (authorization: string, key?: string) => ({
    authorization: `Bearer ${authorization}`,
    'content-type': 'application/json',
    ...(key && { 'idempotency-key': key }),
  });

  function asAdmin(path: string, body?: object, key?: string): Promise<Reply | undefined> {
    return http.send(any(), {
      method: 'POST',
      path,
      headers: json(admin, key),
      body: JSON.stringify(body ?? {}),
    });
  }

  const client: Client = {
    http,
    async buy(purchase, kind, { engine = any(), abort_ms, broken } = {}) {
      const { sale, buyer, key, road, items } = purchase;
      const whole: Sent = {
        method: 'POST',
        path: road === 'checkout' ? '/v1/checkout' : '/v1/inventory/lock',
        headers: json(token(buyer, 'buyer'), key),
        body: bodyOf(purchase),
      };
      const wanted = broken ? { ...whole, ...breakRequest(broken, whole) } : whole;
      const sent = history.now_ms();
      const reply = await http.send(engine, wanted, abort_ms);
      const body = reply && parsed(reply.text);
      const code = typeof body?.code === 'string' ? body.code : undefined;
      history.write({
        ...{ t: 'buy', kind, road, engine, sent, done: history.now_ms(), sale, buyer, key, items },
        ...(reply && { status: reply.status }),
        ...(code && { code }),
        ...(reply?.headers['idempotent-replayed'] === 'true' && { replayed: true }),
        ...(reply?.status === 201 && { text: reply.text }),
      });
      const order_id = typeof body?.order_id === 'string' ? body.order_id : undefined;
      return { status: reply?.status, code, order_id, sent };
    },

    async deed({ deed, order_id, amount }, purchase) {
      const sent = history.now_ms();
      const reply = await http.send(any(), requestOf(deed, order_id, amount, purchase));
      const code = reply && parsed(reply.text)?.code;
      history.write({
        ...{ t: 'deed', deed, sent, done: history.now_ms(), order_id },
        ...(amount !== undefined && { amount }),
        ...(reply && { status: reply.status }),
        ...(typeof code === 'string' && { code }),
      });
      return reply?.status;
    },

    async operate({ verb, sale, key, items }, tries = 40) {
      for (let no = 0; no < tries; no++) {
        const sent = history.now_ms();
        const reply = await asAdmin(`/v1/admin/sales/${sale}/${verb}`, items && { items }, key);
        const body = reply && parsed(reply.text);
        history.write({
          ...{ t: 'operate', verb, sent, done: history.now_ms(), sale },
          ...(key && { key }),
          ...(items && { items }),
          ...(verb === 'reduce' && reply?.status === 200 && { taken: body?.taken as Item[] }),
          ...(reply && { status: reply.status }),
          ...(typeof body?.code === 'string' && { code: body.code }),
        });
        if (reply && reply.status < 500 && reply.status !== 429) return reply.status < 300;
        await sleep(500 + random() * 500);
      }
      return false;
    },

    async createSale({ sale, items, limit, currency, hold_seconds }) {
      const body = {
        ...{ id: sale, currency, hold_seconds, limit_per_buyer: limit },
        items: items.map((item) => ({ ...item, name: item.sku })),
      };
      for (;;) {
        const reply = await asAdmin('/v1/admin/sales', body);
        if (reply?.status === 201) break;
        if (reply && reply.status < 500) throw new Error(`no sale: ${reply.status} ${reply.text}`);
        await sleep(500);
      }
      history.write({ t: 'sale', sale, items, limit, currency });
    },

    async stock(sale) {
      const reply = await http.send(any(), { method: 'GET', path: `/v1/sales/${sale}`, headers: {} });
      if (reply?.status !== 200) return undefined;
      const { items } = JSON.parse(reply.text) as {
        items: { sku: string; available: number; held: number }[];
      };
      return items.map(({ sku, available, held }) => ({ sku, available, held }));
    },
  };

  function requestOf(
    deed: DeedLine['deed'],
    order_id: string,
    amount: number | undefined,
    purchase: Purchase,
  ): Sent {
    const buyer = token(purchase.buyer, 'buyer');
    const post = (path: string, who: string, body: object, key?: string): Sent => ({
      ...{ method: 'POST', path, headers: json(who, key), body: JSON.stringify(body) },
    });
    const ofOrder = `/v1/admin/orders/${order_id}`;
    const method = { type: 'card', token: purchase.pay_token };
    const key = `${deed.replace('_', '-')}-of-${order_id}`;
    switch (deed) {
      case 'initiate':
        return post('/v1/payment/initiate', buyer, { order_id, payment_method: method }, key);
      case 'confirm':
        return post('/v1/checkout/confirm', buyer, { order_id });
      case 'cancel':
        return post(`/v1/orders/${order_id}/cancel`, buyer, {});
      case 'ship':
        return post(`${ofOrder}/ship`, admin, { carrier: 'Chaos' });
      case 'deliver':
        return post(`${ofOrder}/deliver`, admin, {});
      case 'refund_part':
        return post(`${ofOrder}/refund`, admin, { amount }, key);
      case 'return':
        return post(`${ofOrder}/return`, admin, {}, key);
    }
  }
  return client;
}

/** The key stands in the order: so whoever judges finds the order of a key without knowing how ids are made. */
export function contactOf(key: string): { email: string } {
  return { email: `${key}@chaos.example` };
}

function bodyOf({ sale, key, road, items, pay_token }: Purchase): string {
  const lock = { sale_id: sale, items, contact: contactOf(key) };
  if (road === 'lock') return JSON.stringify(lock);
  return JSON.stringify({
    ...lock,
    payment_method: { type: 'card', token: pay_token },
    shipping_address: {
      name: 'Chaos',
      line1: '1 Main St',
      city: 'Entropy',
      postal_code: '12345',
      country: 'US',
    },
  });
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
