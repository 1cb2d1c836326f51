/** What a buyer is told in the course of an order, as the mailbox of a whole stack has it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readPdf } from '../../reconciler/notify/testing/read-pdf.ts';
import { eventually } from './support/books.ts';
import { dataFolder, type RunningStack, startStack } from './support/stack.ts';

const folder = dataFolder();
let stack: RunningStack;
let mailbox: string;
let keys = 0;

beforeAll(async () => {
  const settings = {
    SHOP_NAME: 'Night Market',
    INVOICE_SELLER: 'Night Market Ltd|Bristol',
    LOG_LEVEL: 'debug',
  };
  stack = await startStack(folder.path, settings);
  mailbox = stack.output().match(/Mail +(http:\/\/localhost:\d+)/)![1]!;
  const items = [{ sku: 'a', name: 'Aurora headphones', unit_price: 12_900, qty: 100 }];
  for (const [id, hold_seconds] of [
    ['night', 600],
    ['hasty', 1],
  ] as const) {
    const body = { id, currency: 'USD', hold_seconds, limit_per_buyer: 0, items };
    const made = await stack.api.call('POST', '/v1/admin/sales', { token: stack.admin, body });
    expect(made.status).toBe(201);
  }
});
afterAll(async () => {
  await stack.stop();
  folder.remove();
});

const key = () => `notices-test-key-${++keys}`;

async function post(path: string, token: string, body: object, status: number) {
  const answer = await stack.api.call('POST', path, { token, key: key(), body });
  expect([path, answer.status, answer.body.code]).toEqual([path, status, undefined]);
  return answer.body as { order_id: string };
}

function order(name: string, payment_token: string) {
  const body = {
    sale_id: 'night',
    items: [{ sku: 'a', qty: 2 }],
    payment_method: { type: 'card', token: payment_token },
    contact: { email: `${name}@example.com` },
    shipping_address: {
      name: 'Zoë Müller',
      line1: '1 Quay',
      city: 'London',
      postal_code: 'E1',
      country: 'GB',
    },
  };
  return post('/v1/checkout', stack.api.token(name, 'buyer'), body, 201);
}

type Listed = { id: string; subject: string; to: string; attachments: number };

/** Once so many mails are there, oldest first. */
function mailsOf(name: string, count: number): Promise<Listed[]> {
  const ask = async () => {
    const { mails } = (await (await fetch(`${mailbox}/mails.json`)).json()) as { mails: Listed[] };
    return mails.filter(({ to }) => to === `${name}@example.com`).reverse();
  };
  return eventually(`${count} mails to ${name}`, 30_000, ask, (mails) => mails.length >= count);
}
const subjectsOf = async (name: string, count: number) =>
  (await mailsOf(name, count)).map(({ subject }) => subject);
const textOf = async (mail: Listed) => (await fetch(`${mailbox}/mails/${mail.id}`)).text();

test('bought, shipped, given back in part and then as a whole: each is told once, in this order', async () => {
  const { order_id } = await order('zoe', 'pm_ok');
  const [confirmed] = await mailsOf('zoe', 1);
  const pdf = Buffer.from(
    await (await fetch(`${mailbox}/mails/${confirmed!.id}/attachments/0`)).arrayBuffer(),
  );
  const { lines } = await readPdf(pdf);
  expect(lines).toContain('Night Market Ltd Zoë Müller');
  expect(lines.map((line) => line.replaceAll('\u00a0', ' '))).toContain('Total USD 258.00');

  const admin = `/v1/admin/orders/${order_id}`;
  await eventually(
    'the capture',
    20_000,
    () => stack.payments().find((payment) => payment.order_id === order_id),
    (payment) => payment?.captured === 25_800,
  );
  await stack.api.call('POST', `${admin}/ship`, {
    token: stack.admin,
    key: key(),
    body: { carrier: 'Royal Mail', tracking_number: 'QF 48', tracking_url: 'https://track.example/48' },
  });
  const [, shipped] = await mailsOf('zoe', 2);
  expect(await textOf(shipped!)).toContain('Follow it: https://track.example/48');

  await stack.api.call('POST', `${admin}/refund`, {
    token: stack.admin,
    key: key(),
    body: { amount: 5_000 },
  });
  await mailsOf('zoe', 3);
  await stack.api.call('POST', `${admin}/refund`, { token: stack.admin, key: key(), body: {} });
  expect(await subjectsOf('zoe', 4)).toEqual([
    'Your order is confirmed: Aurora headphones',
    'Your order is on its way: Aurora headphones',
    'A refund of $50.00 for your order',
    'Your refund of $208.00',
  ]);
});

test('a payment that fails is told with its reason, and what to do next', async () => {
  await order('ada', 'pm_insufficient_funds');
  const [failed] = await mailsOf('ada', 1);
  expect(failed).toMatchObject({ subject: 'Your payment did not go through', attachments: 0 });
  expect(await textOf(failed!)).toContain('does not have enough money');
});

test('a hold that ends and an order that is canceled are told', async () => {
  const lock = (name: string, sale_id: string) =>
    post(
      '/v1/inventory/lock',
      stack.api.token(name, 'buyer'),
      { sale_id, items: [{ sku: 'a', qty: 1 }], contact: { email: `${name}@example.com` } },
      201,
    );
  await lock('late', 'hasty');
  expect(await subjectsOf('late', 1)).toEqual(['Your reservation has ended']);
  const { order_id } = await lock('gone', 'night');
  await eventually(
    'the cancel',
    20_000,
    () =>
      stack.api.call('POST', `/v1/orders/${order_id}/cancel`, {
        token: stack.api.token('gone', 'buyer'),
        key: key(),
        body: {},
      }),
    ({ status }) => status === 200,
  );
  expect(await subjectsOf('gone', 1)).toEqual(['Your order is canceled']);
});

test('no log of the whole stack has an address, a name or a number of a buyer', async () => {
  const { readdirSync, readFileSync } = await import('node:fs');
  const logs = readdirSync(`${folder.path}/logs`).filter((name) => /engine|reconciler|mailbox/.test(name));
  expect(logs.length).toBeGreaterThan(2);
  for (const name of logs) {
    expect([
      name,
      readFileSync(`${folder.path}/logs/${name}`, 'utf8').match(/@example\.com|Müller|1 Quay/),
    ]).toEqual([name, null]);
  }
});
