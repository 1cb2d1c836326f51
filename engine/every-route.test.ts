/**
 * Every route of the table, one by one: forged tokens, lower roles, another tenant, another buyer, fields that nobody
 * offered. A route that is not in ROUTES below fails the first test, so none is forgotten.
 */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ADDRESS, type Answered, newKey, startTestEngine, type TestEngine } from '../test/support/engine.ts';
import { ROLES } from './access/caller.ts';
import type { Route } from './route.ts';

let t: TestEngine;
let other_tenant: string;
/** What the tenant has that others must not reach. */
const theirs = { sale: '', order: '', locked: '', endpoint: '' };
const OWNER = 'ada';

beforeAll(async () => {
  t = await startTestEngine({
    env: { DEMO_SALE: 'demo', WEBHOOK_SIGNING_KEY: 'a-signing-key-for-tests-that-nobody-guesses' },
  });
  other_tenant = `${t.tenant}-2`;
  theirs.sale = await t.sale();
  const token = t.buyer(OWNER);
  theirs.order = (await t.buy(theirs.sale, { token })).body.order_id;
  const lock = { sale_id: theirs.sale, items: [{ sku: 'a', qty: 1 }] };
  const locked = await t.call('POST', '/v1/inventory/lock', { token, key: newKey(), body: lock });
  theirs.locked = locked.body.order_id;
  const made = await t.call('POST', '/v1/merchant/webhooks', { token: t.admin, body: HOOK });
  theirs.endpoint = made.body.id;
  for (const id of [theirs.order, theirs.locked]) {
    await vi.waitFor(async () => expect((await order(id)).source).toBe('ledger'), 15_000);
  }
  // From here on nothing changes by itself.
  await t.stopReconciler();
});
afterAll(() => t.stop());

const order = async (id: string) => (await t.call('GET', `/v1/orders/${id}`, { token: t.buyer(OWNER) })).body;

const HOOK = { url: 'https://hooks.shop.example/stampede' };
const LINES = [{ sku: 'a', qty: 1 }];
const METHOD = { type: 'card', token: 'pm_ok' };
const CONTACT = { email: 'ada@example.com' };

/**
 * How a route is asked for what is the tenant's: `body` as somebody would send it who may. What a stranger is told:
 * `not_found`; or nothing of it (`hidden`), where the route lists or makes what is the caller's own; or it is `open`:
 * the same for all.
 */
type Probe = {
  stranger: 'not_found' | 'hidden' | 'open';
  params?: () => string[];
  query?: () => string;
  body?: () => object;
  /** Only the order's buyer may: neither another buyer nor an admin of the same tenant. */
  buyers_own?: true;
};
const sale = () => [theirs.sale];
const anOrder = () => [theirs.order];
const endpoint = () => [theirs.endpoint];
const stranger = 'not_found';
const gate: Probe = { stranger, params: sale, body: () => ({}) };
const stockChange: Probe = { stranger, params: sale, body: () => ({ items: LINES }) };
const open: Probe = { stranger: 'open' };
const since = '2026-01-01T00:00:00.000Z';

const ROUTES: Readonly<Record<string, Probe>> = {
  checkout: {
    stranger,
    body: () => ({
      ...{ sale_id: theirs.sale, items: LINES, payment_method: METHOD },
      ...{ shipping_address: ADDRESS, contact: CONTACT },
    }),
  },
  lock: { stranger, body: () => ({ sale_id: theirs.sale, items: LINES, contact: CONTACT }) },
  initiate: {
    ...{ stranger, buyers_own: true },
    body: () => ({ order_id: theirs.locked, payment_method: METHOD }),
  },
  confirm: { stranger, buyers_own: true, body: () => ({ order_id: theirs.locked }) },
  order: { stranger, buyers_own: true, params: anOrder },
  cancel: { stranger, buyers_own: true, params: anOrder, body: () => ({}) },
  sale: { stranger, params: sale },
  live: { stranger: 'open', params: sale },
  inventory: { stranger, params: () => ['a'], query: () => `?sale_id=${theirs.sale}` },
  webhook: { stranger: 'open', params: () => ['sandbox'] },
  create_webhook: { stranger: 'hidden', body: () => ({ ...HOOK, types: ['order.confirmed'] }) },
  list_webhooks: { stranger: 'hidden' },
  webhook_endpoint: { stranger, params: endpoint },
  change_webhook: { stranger, params: endpoint, body: () => ({ enabled: false }) },
  delete_webhook: { stranger, params: endpoint },
  rotate_webhook: { stranger, params: endpoint, body: () => ({}) },
  test_webhook: { stranger, params: endpoint, body: () => ({}) },
  replay_webhook: { stranger, params: endpoint, body: () => ({ since }) },
  create_sale: {
    stranger: 'hidden',
    body: () => ({
      ...{ id: theirs.sale, currency: 'USD' },
      items: [{ sku: 'a', name: 'A', unit_price: 1, qty: 1 }],
    }),
  },
  ...{ open: gate, pause: gate, resume: gate, close: gate },
  ...{ topup: stockChange, reduce: stockChange },
  audit: { stranger, params: sale },
  certificate: { stranger, params: sale },
  rebuild: { stranger, params: sale, body: () => ({}) },
  rebuild_progress: { stranger, params: sale },
  admin_orders: { stranger: 'hidden' },
  admin_order: { stranger, params: anOrder },
  refund: { stranger, params: anOrder, body: () => ({ amount: 1, reason: 'broken' }) },
  ship: { stranger, params: anOrder, body: () => ({ carrier: 'dhl', tracking_number: '1' }) },
  deliver: { stranger, params: anOrder, body: () => ({}) },
  return: { stranger, params: anOrder, body: () => ({ restock: true }) },
  ...{ livez: open, readyz: open, metrics: open, openapi: open, docs: open, problems: open },
  demo_session: { stranger: 'open', body: () => ({}) },
};

const routes = () => t.engine.routes as readonly Route[];
const hasBody = ({ method }: Route) => method === 'POST' || method === 'PATCH';

/** Asks as `probe` says, with other parameters or another body if they are given. */
function ask(
  route: Route,
  token?: string,
  change: { params?: string[]; body?: object } = {},
): Promise<Answered> {
  const { params = () => [], query = () => '', body } = ROUTES[route.id];
  const values = [...(change.params ?? params())];
  const path = route.path.replaceAll(/\{\w+\}/g, () => values.shift() ?? 'none') + query();
  const sent = change.body ?? body?.();
  return t.call(route.method, path, {
    ...{ token, key: newKey() },
    ...(hasBody(route) && sent && { body: sent }),
  });
}

const refusal = ({ status, body }: Answered) => [status, body.code];
const as = (role: string, sub = 'op', tenant = t.tenant) => t.buyer(sub, { role, tenant });

/** Everything that the ledger holds of the tenant. */
async function holdings(): Promise<string> {
  const { rows } = await t.db.query({
    text: `SELECT json_build_array(
      (SELECT json_agg(s ORDER BY s.id) FROM sales s WHERE tenant = $1),
      (SELECT json_agg(k ORDER BY k.sku) FROM skus k JOIN sales s USING (sale_no) WHERE s.tenant = $1),
      (SELECT json_agg(o ORDER BY o.id) FROM orders o WHERE tenant = $1),
      (SELECT json_agg(e ORDER BY e.id) FROM order_events e),
      (SELECT json_agg(a ORDER BY a.id) FROM attempts a),
      (SELECT json_agg(r ORDER BY r.id) FROM refunds r),
      (SELECT json_agg(p ORDER BY p.order_id) FROM shipments p),
      (SELECT json_agg(q ORDER BY q.key) FROM operator_requests q),
      (SELECT json_agg(m ORDER BY m.id) FROM movements m),
      (SELECT json_agg(w ORDER BY w.id) FROM webhook_endpoints w WHERE tenant = $1),
      (SELECT json_agg(d ORDER BY d.id) FROM webhook_deliveries d),
      (SELECT json_agg(y ORDER BY y.id) FROM webhook_replays y)
    )::text AS all`,
    values: [t.tenant],
  });
  const stock = await t.call('GET', `/v1/sales/${theirs.sale}`, { token: t.admin });
  return rows[0].all + JSON.stringify(stock.body.items);
}

const b64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
function token(header: object, claims: object, key = t.secret): string {
  const signed = `${b64(header)}.${b64(claims)}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

/** Tokens that claim to be an admin's of the tenant. */
function forged(): Record<string, string> {
  const head = { alg: 'HS256', typ: 'JWT' };
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: 'op', role: 'admin', tenant: t.tenant, aud: 'stampede', exp: now + 600 };
  const [, , signature] = as('buyer').split('.');
  return {
    'alg none': `${b64({ alg: 'none' })}.${b64(claims)}.`,
    'another secret': token(head, claims, 'another-secret'),
    'the signature of a buyer': `${b64(head)}.${b64(claims)}.${signature}`,
    expired: token(head, { ...claims, exp: now - 1 }),
    'another audience': token(head, { ...claims, aud: 'elsewhere' }),
    'an unknown role': token(head, { ...claims, role: 'owner' }),
    nonsense: 'nonsense',
  };
}

it('knows every route', () => {
  expect(Object.keys(ROUTES).sort()).toEqual(
    routes()
      .map(({ id }) => id)
      .sort(),
  );
});

it('has the role that its path says, and keys where money or stock moves', () => {
  for (const { id, path, access, keyed } of routes()) {
    const wanted = path.startsWith('/v1/admin/')
      ? 'admin'
      : path.startsWith('/v1/merchant/')
        ? 'merchant'
        : '';
    if (wanted) expect([id, access]).toEqual([id, wanted]);
    else expect([id, ['buyer', 'all']]).toEqual([id, expect.arrayContaining([access])]);
    expect([id, keyed ?? false]).toEqual([id, KEYED.includes(id)]);
  }
  const all = routes().filter(({ access }) => access === 'all');
  expect(all.map(({ id }) => id).sort()).toEqual(FOR_ALL);
});

const KEYED = ['checkout', 'lock', 'initiate', 'topup', 'reduce', 'refund', 'return'];
const FOR_ALL = [
  ...[
    'demo_session',
    'docs',
    'inventory',
    'live',
    'livez',
    'metrics',
    'openapi',
    'problems',
    'readyz',
    'sale',
  ],
  'webhook',
];

describe('who asks', () => {
  it('no token: 401 wherever one is needed; one that is forged: 401 everywhere, and nothing has happened', async () => {
    const before = await holdings();
    for (const route of routes()) {
      if (route.access !== 'all')
        expect([route.id, ...refusal(await ask(route))]).toEqual([route.id, 401, 'unauthorized']);
      for (const [kind, bad] of Object.entries(forged())) {
        const told = [route.id, kind, ...refusal(await ask(route, bad))];
        expect(told).toEqual([route.id, kind, 401, 'unauthorized']);
      }
    }
    expect(await holdings()).toBe(before);
  });

  it('a lower role: 403, before anything is looked at', async () => {
    const before = await holdings();
    let refused = 0;
    for (const route of routes()) {
      if (route.access === 'all') continue;
      for (const role of ROLES.slice(0, ROLES.indexOf(route.access))) {
        const answers = [await ask(route, as(role)), await ask(route, as(role), { params: ['none'] })];
        for (const answer of answers) {
          expect([route.id, role, ...refusal(answer)]).toEqual([route.id, role, 403, 'forbidden']);
          refused += 1;
        }
      }
    }
    expect(refused).toBeGreaterThan(40);
    expect(await holdings()).toBe(before);
  });
});

describe('what is somebody else’s', () => {
  it('another tenant’s highest role gets the answer for what is not there, to the letter, and changes nothing', async () => {
    const before = await holdings();
    const bare = ({ status, body }: Answered) => {
      const { request_id: _, ...rest } = body;
      return [status, rest];
    };
    for (const route of routes().filter(({ id }) => ROUTES[id].stranger === 'not_found')) {
      for (const sub of ['op', OWNER]) {
        const answer = await ask(route, as('admin', sub, other_tenant));
        expect([route.id, ...refusal(answer)]).toEqual([route.id, 404, 'not_found']);
        if (!ROUTES[route.id].params || route.id === 'inventory') continue;
        const unknown = await ask(route, as('admin', sub, other_tenant), { params: ['none'] });
        expect([route.id, bare(answer)]).toEqual([route.id, bare(unknown)]);
      }
    }
    expect(await holdings()).toBe(before);
  });

  it('another buyer and an admin of the same tenant get it, too, where only the buyer may', async () => {
    const before = await holdings();
    for (const route of routes().filter(({ id }) => ROUTES[id].buyers_own)) {
      for (const who of [as('buyer', 'bob'), as('merchant', 'bob'), as('admin')]) {
        expect([route.id, ...refusal(await ask(route, who))]).toEqual([route.id, 404, 'not_found']);
      }
    }
    expect(await holdings()).toBe(before);
  });

  it('what lists and makes the caller’s own never touches or tells what is another tenant’s', async () => {
    const before = await holdings();
    for (const route of routes().filter(({ id }) => ROUTES[id].stranger === 'hidden')) {
      // Also under the very same id.
      const answer = await ask(route, as('admin', 'op', other_tenant));
      expect([route.id, [200, 201, 503].includes(answer.status)]).toEqual([route.id, true]);
      if (route.id === 'create_sale') continue;
      for (const id of Object.values(theirs))
        expect([route.id, answer.text.includes(id)]).toEqual([route.id, false]);
    }
    expect(await holdings()).toBe(before);
  }, 30_000);
});

describe('fields that nobody offered', () => {
  const MORE = [
    'tenant',
    'role',
    'buyer',
    'actor',
    'state',
    'unit_price',
    'total',
    'reversal_wanted',
    '__proto__',
  ];

  /** The places of objects in a body: '' for the body itself. */
  function objectsIn(value: unknown, path = ''): string[] {
    if (typeof value !== 'object' || value === null) return [];
    const inner = Object.entries(value).flatMap(([name, part]) => objectsIn(part, `${path}/${name}`));
    return Array.isArray(value) ? inner : [path, ...inner];
  }

  function withField(body: object, path: string, name: string): object {
    const copy = structuredClone(body);
    let at = copy as Record<string, unknown>;
    for (const part of path.split('/').slice(1)) at = at[part] as Record<string, unknown>;
    Object.defineProperty(at, name, { value: 'x', enumerable: true, configurable: true });
    return copy;
  }

  it('are refused on every route and at every depth, and the refusal names them', async () => {
    const before = await holdings();
    let refused = 0;
    for (const route of routes().filter(hasBody)) {
      const body = ROUTES[route.id].body?.();
      if (!body) continue;
      for (const path of objectsIn(body)) {
        for (const name of MORE) {
          const answer = await ask(route, as('admin', OWNER), { body: withField(body, path, name) });
          const told = [
            route.id,
            name,
            ...refusal(answer),
            answer.body.errors?.map((fault: { path: string }) => fault.path),
          ];
          expect(told).toEqual([
            route.id,
            name,
            400,
            'invalid_request',
            expect.arrayContaining([`${path}/${name}`]),
          ]);
          refused += 1;
        }
      }
    }
    expect(refused).toBeGreaterThan(150);
    expect(await holdings()).toBe(before);
  });
});
