/** Webhooks of payment providers that are not theirs, or were: by the real adapters, at the real engine. */
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { idempotencyKey, type Psp } from '../../payments/port.ts';
import { createProviders } from '../../payments/providers.ts';
import { startTestSandbox, type TestSandbox } from '../../payments/sandbox/testing/start.ts';
import { loadConfig } from '../../platform/config.ts';
import { playedProviders } from '../../platform/local/providers.ts';
import { sandboxKeys } from '../../platform/sandbox-keys.ts';
import { type Answered, startTestEngine, type TestEngine } from '../support/engine.ts';

const NAMES = ['sandbox', 'stripe', 'midtrans', 'razorpay', 'paypal'] as const;
type Name = (typeof NAMES)[number];
type Hook = { headers: Record<string, string>; raw: Buffer };

/** In what each provider is paid. */
const MONEY: Readonly<Record<Name, { amount: number; currency: string }>> = {
  sandbox: { amount: 1_299, currency: 'USD' },
  stripe: { amount: 1_299, currency: 'USD' },
  midtrans: { amount: 14_500_000, currency: 'IDR' },
  razorpay: { amount: 50_000, currency: 'INR' },
  paypal: { amount: 1_099, currency: 'USD' },
};

let t: TestEngine;
let sandbox: TestSandbox;
let ear: Server;
/** One of each provider, as it came. */
const genuine = new Map<string, Hook>();
/** Who answers a request for a certificate that is none of PayPal's. */
let bait: Server;
let bitten = 0;

beforeAll(async () => {
  ear = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const {
      host: _,
      connection: __,
      'content-length': ___,
      'transfer-encoding': ____,
      ...headers
    } = request.headers;
    const name = (request.url ?? '').slice(1);
    const hook = { headers: headers as Record<string, string>, raw: Buffer.concat(chunks) };
    if (!genuine.has(name)) genuine.set(name, hook);
    response.writeHead(200).end();
  }).listen(0, '127.0.0.1');
  await once(ear, 'listening');
  bait = createServer((_request, response) => {
    bitten += 1;
    response.end('-----BEGIN CERTIFICATE-----');
  }).listen(0, '127.0.0.1');
  await once(bait, 'listening');
  sandbox = await startTestSandbox({ webhook_url: `http://127.0.0.1:${portOf(ear)}/sandbox` });
  const env = {
    PSP_SANDBOX_URL: sandbox.url,
    PSP_SANDBOX_SECRET: sandbox.secret,
    ...playedProviders({ settings: {}, secret: sandbox.secret, sandbox_url: sandbox.url }),
  };
  t = await startTestEngine({ env });
  await sandbox.admin('settings', { slow_ms: 10, late_ms: 10, upi_ms: 10, events: 'all' });
  const providers = createProviders(loadConfig(env));
  for (const name of NAMES) {
    const psp = providers.byName(name);
    if (!psp) throw new Error(`no ${name}`);
    await pay(psp, MONEY[name]);
  }
  await vi.waitFor(() => expect([...genuine.keys()].sort()).toEqual([...NAMES].sort()), 20_000);
  providers.close();
}, 120_000);
afterAll(async () => {
  await t.stop();
  await sandbox.stop();
  ear.close();
  bait.close();
});

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function pay(psp: Psp, money: { amount: number; currency: string }): Promise<void> {
  const reference = randomUUID();
  const request = {
    ...{ reference, psp_ref: null, order_id: `order_${reference}`, ...money },
    idempotency_key: idempotencyKey(reference, 'authorize'),
    payment_method: { type: 'card' as const, token: 'pm_ok' },
    expires_at: new Date(Date.now() + 600_000),
    return_url: 'http://127.0.0.1/?order=1',
    contact: { email: 'buyer@example.com', phone: '+919090909090' },
  };
  const made = psp.create
    ? await psp.create({ ...request, idempotency_key: idempotencyKey(reference, 'create') })
    : undefined;
  if (made && made.kind !== 'created') throw new Error(`${psp.name}: ${JSON.stringify(made)}`);
  const psp_ref = made ? made.psp_ref : null;
  const outcome = await psp.authorize({ ...request, psp_ref });
  if (outcome.kind !== 'approved') throw new Error(`${psp.name}: ${JSON.stringify(outcome)}`);
  const step = { reference, psp_ref: outcome.payment.psp_ref, ...money };
  await psp.capture({ ...step, idempotency_key: idempotencyKey(reference, 'capture') });
}

const send = (name: string, { headers, raw }: Hook): Promise<Answered> =>
  t.call('POST', `/v1/webhooks/${name}`, { raw, headers });

const hookOf = (name: string): Hook => genuine.get(name) as Hook;

async function stored(): Promise<string> {
  const { rows } = await t.db.query(`SELECT provider, event_id FROM psp_events ORDER BY 1, 2`);
  const jobs = await t.db.query(`SELECT count(*)::int AS n FROM pgboss.job`);
  return JSON.stringify([rows, jobs.rows]);
}

/** Changes of a genuine webhook that only its provider could sign. */
function forgeries(name: Name): Record<string, Hook> {
  const { headers, raw } = hookOf(name);
  const signatures = Object.keys(headers).filter((header) => /signature|transmission-sig/.test(header));
  const text = raw.toString();
  const bodies: Record<string, Buffer> = {
    'one bit of the body': Buffer.from(raw.map((byte, i) => (i === 20 ? byte ^ 1 : byte))),
    'more money': Buffer.from(
      text.replaceAll(/"(?:gross_amount|value)":"\d/g, '$&9').replaceAll(/"amount":\d/g, '$&9'),
    ),
    'a cut body': raw.subarray(0, raw.length - 1),
    'no body': Buffer.alloc(0),
    'JSON that is nothing': Buffer.from('null'),
    'an empty object': Buffer.from('{}'),
    'a list': Buffer.from(`[${text}]`),
    'no JSON': Buffer.from('payment=captured'),
    'no UTF-8': Buffer.from([0xff, 0xfe, 0x00]),
    'deep JSON': Buffer.from('['.repeat(8_000)),
  };
  // Midtrans signs values, not bytes.
  if (name !== 'midtrans') {
    bodies['a space behind it'] = Buffer.from(`${text} `);
    bodies['the same JSON, written otherwise'] = Buffer.from(JSON.stringify(JSON.parse(text), undefined, 1));
  } else {
    const { signature_key: _, ...unsigned } = JSON.parse(text);
    const with_key = (signature_key: unknown) => Buffer.from(JSON.stringify({ ...unsigned, signature_key }));
    bodies['no signature'] = Buffer.from(JSON.stringify(unsigned));
    bodies['an empty signature'] = with_key('');
    bodies['a signature of zeros'] = with_key('0'.repeat(128));
    bodies['a signature that is a list'] = with_key(['0']);
    bodies['another state'] = Buffer.from(text.replace(/"status_code":"\d+"/, '"status_code":"201"'));
  }
  const hooks = Object.fromEntries(
    Object.entries(bodies).map(([kind, body]) => [kind, { headers, raw: body }]),
  );
  for (const header of signatures) {
    const { [header]: good, ...without } = headers;
    const values = {
      none: undefined,
      empty: '',
      zeros: '0'.repeat(good.length),
      'cut short': good.slice(0, -8),
      'another letter': `${good.slice(0, -9)}${good.at(-9) === '0' ? '1' : '0'}${good.slice(-8)}`,
    };
    for (const [kind, value] of Object.entries(values))
      hooks[`${header} ${kind}`] = {
        headers: { ...without, ...(value !== undefined && { [header]: value }) },
        raw,
      };
  }
  for (const other of NAMES) {
    if (other === name) continue;
    hooks[`the webhook of ${other}`] = hookOf(other);
    hooks[`the signature of ${other}`] = { headers: { ...hookOf(other).headers }, raw };
  }
  // Midtrans carries its signature in the body: headers are nothing to it.
  if (name === 'midtrans') for (const other of NAMES) delete hooks[`the signature of ${other}`];
  return hooks;
}

describe.each(NAMES)('%s', (name) => {
  it('what it has not signed is 401 or cannot be checked, and nothing is written', async () => {
    const before = await stored();
    const kinds = Object.entries(forgeries(name));
    expect(kinds.length).toBeGreaterThan(12);
    for (const [kind, hook] of kinds) {
      const { status, body } = await send(name, hook);
      expect([kind, status, body.code]).toEqual([kind, 401, 'unauthorized']);
    }
    expect(await stored()).toBe(before);
  });

  it('what it has signed is stored once, however often and however many at once it comes', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => send(name, hookOf(name))));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    const after = await stored();
    for (let i = 0; i < 3; i++) expect((await send(name, hookOf(name))).status).toBe(200);
    expect(await stored()).toBe(after);
    const { rows } = await t.db.query('SELECT count(*)::int AS n FROM psp_events WHERE provider = $1', [
      name,
    ]);
    expect(rows).toEqual([{ n: 1 }]);
  });

  it('a body without measure is 413', async () => {
    const { headers } = hookOf(name);
    expect((await send(name, { headers, raw: Buffer.alloc(20_000, 'x') })).status).toBe(413);
  });
});

describe('age', () => {
  const signed = (name: string, secret: string, at_s: number) =>
    createHmac('sha256', secret)
      .update(`${at_s}.${hookOf(name).raw}`)
      .digest('hex');
  const now_s = () => Math.floor(Date.now() / 1000);
  const headers: Readonly<Record<string, (at_s: number) => Record<string, string>>> = {
    sandbox: (at_s) => ({ 'sandbox-signature': `t=${at_s},v1=${signed('sandbox', sandbox.secret, at_s)}` }),
    stripe: (at_s) => {
      const { webhook_secret } = sandboxKeys(sandbox.secret).stripe;
      return { 'stripe-signature': `t=${at_s},v1=${signed('stripe', webhook_secret, at_s)}` };
    },
  };

  it.each(Object.keys(headers))('%s: signed 310 s ago or to come is 401, 290 s is fine', async (name) => {
    const before = await stored();
    for (const off of [-310, 310, -86_400, 86_400]) {
      const told = await send(name, { headers: headers[name](now_s() + off), raw: hookOf(name).raw });
      expect([off, told.status]).toEqual([off, 401]);
    }
    expect(await stored()).toBe(before);
    for (const off of [-290, 280]) {
      const told = await send(name, { headers: headers[name](now_s() + off), raw: hookOf(name).raw });
      expect([off, told.status]).toEqual([off, 200]);
    }
  });

  it('paypal: the time is signed as well', async () => {
    const { headers, raw } = hookOf('paypal');
    for (const off_ms of [-10_000, -310_000, 310_000]) {
      const time = new Date(Date.parse(headers['paypal-transmission-time']) + off_ms).toISOString();
      const told = await send('paypal', { headers: { ...headers, 'paypal-transmission-time': time }, raw });
      expect([off_ms, told.status]).toEqual([off_ms, 401]);
    }
  });
});

describe('the certificate that a webhook of PayPal names', () => {
  it('is fetched from nobody but PayPal', async () => {
    const { headers, raw } = hookOf('paypal');
    const good = headers['paypal-cert-url'];
    const { host, pathname, origin } = new URL(good);
    const trap = `127.0.0.1:${portOf(bait)}`;
    const addresses = [
      `http://${trap}${pathname}`,
      `http://${host}@${trap}${pathname}`,
      `http://${trap}#${good}`,
      `http://${trap}/?${good}`,
      `${origin}.evil.example${pathname}`,
      `${origin}/../../${trap}${pathname}`,
      `${good}/../../../../admin/payments`,
      `${good}/..%2f..%2fadmin`,
      `${good}?next=http://${trap}`,
      `${origin}/admin/payments`,
      ...[
        'file:///etc/passwd',
        'http://169.254.169.254/latest/meta-data',
        'gopher://127.0.0.1:6379/_FLUSHALL',
        '',
        '//x',
        'x'.repeat(3_000),
      ],
    ];
    const before = await stored();
    for (const address of addresses) {
      const told = await send('paypal', { headers: { ...headers, 'paypal-cert-url': address }, raw });
      expect([address, told.status]).toEqual([address, 401]);
    }
    expect(await stored()).toBe(before);
    expect(bitten).toBe(0);
  });

  it('a provider that is none: 404, as for every path that is none', async () => {
    for (const name of ['none', 'Stripe', '__proto__', 'constructor', '..', 'sandbox%00']) {
      expect([name, (await send(name, hookOf('sandbox'))).status]).toEqual([name, 404]);
    }
  });
});
