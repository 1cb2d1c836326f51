/**
 * What must not be found, looked for in every byte that a whole stack leaves behind: the AOF, the files and the log of
 * transactions of Postgres, the sandbox's journal, mails, all logs at their most talkative, metrics, command lines. Card
 * numbers and secrets nowhere; tokens of payment and addresses in the two stores and in the mail, and in no log.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Document, type Json, readOperations, type Schema } from '../security/fuzz/document.ts';
import { createDraw } from '../security/fuzz/draw.ts';
import { sample } from '../security/fuzz/sample.ts';
import { eventually } from './support/books.ts';
import { dataFolder, type RunningStack, startStack } from './support/stack.ts';

const CARD = '4012888888881881';
const CARDS = [CARD, '4012 8888 8888 1881', '4012-8888-8888-1881', '４０１２８８８８８８８８１８８１'];
const PAYMENT = 'canary-payment-7c1e';
const STREET = 'canary-street-7c1e';
const MAIL = 'canary-mail-7c1e@example.com';
const PHONE = '+6281299177317';

/** No free text of a buyer: names that a shop gives its own things, and what its carriers and servers are called. */
const SHOPS_OWN = ['id', 'sku', 'sale_id', 'order_id', 'psp', 'url', 'tracking_number', 'tracking_url'];

const folder = dataFolder();
let stack: RunningStack;
beforeAll(async () => {
  stack = await startStack(folder.path, { LOG_LEVEL: 'trace' });
});
afterAll(async () => {
  await stack.stop();
  folder.remove();
});

async function send(method: string, path: string, body: unknown, token: string, headers: object = {}) {
  const request = {
    method,
    headers: {
      ...{ authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...{ 'idempotency-key': `canary-${Math.random().toString(36).slice(2)}-key-of-it`, ...headers },
    },
    ...(method !== 'GET' && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  };
  // On a busy machine a connection that was kept may have been given up meanwhile.
  const response = await fetch(stack.url + path, request).catch(() => fetch(stack.url + path, request));
  return { status: response.status, text: await response.text() };
}

/** Names of members that are text of any kind but an enum, with a setter for a copy of the body. */
function textsIn(schema: Schema, body: Json, path: string[] = []): string[][] {
  if (schema.type === 'string') return schema.enum ? [] : [path];
  if (typeof body !== 'object' || body === null) return [];
  return Object.entries(body).flatMap(([name, part]) => {
    const inner = Array.isArray(body) ? schema.items : schema.properties?.[name];
    return inner ? textsIn(inner, part as Json, [...path, name]) : [];
  });
}

function withText(body: Json, path: readonly string[], text: string): Json {
  const copy = structuredClone({ body });
  const holder = ['body', ...path]
    .slice(0, -1)
    .reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], copy);
  (holder as Record<string, unknown>)[path.at(-1) ?? ''] = text;
  return copy.body;
}

/** Leaves out nothing that may be left out. */
const everything = Object.assign(createDraw(3), { chance: () => false });

/** Every file below a folder. */
function filesIn(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found) return [];
    return found.isDirectory() ? filesIn(path) : found.isFile() ? [path] : [];
  });
}

test('card numbers and secrets are nowhere, tokens of payment and addresses in no log', async () => {
  const document = (await (await fetch(`${stack.url}/openapi.json`)).json()) as Document;
  const answers: string[] = [];

  // A card number in every text of every body, in the forms in which people write it, and around the body.
  let refused = 0;
  for (const operation of readOperations(document)) {
    if (typeof operation.body !== 'object') continue;
    const path = operation.path.replaceAll(/\{\w+\}/g, 'demo');
    const body = sample(operation.body, everything, () => undefined);
    for (const at of textsIn(operation.body, body)) {
      if (SHOPS_OWN.includes(at.at(-1) ?? '')) continue;
      for (const card of CARDS) {
        const { status, text } = await send(operation.method, path, withText(body, at, card), stack.admin);
        expect([operation.id, at, card, status]).toEqual([operation.id, at, card, 400]);
        answers.push(text);
        refused += 1;
      }
    }
    for (const raw of [`{"${CARD}":1}`, `{"a":"${CARD}`, `"${CARD}"`, `[${CARD}]`]) {
      const { status, text } = await send(operation.method, path, raw, stack.admin);
      expect([operation.id, raw, status]).toEqual([operation.id, raw, 400]);
      answers.push(text);
    }
  }
  expect(refused).toBeGreaterThan(80);
  for (const path of [
    `/v1/orders/${CARD}`,
    `/v1/sales/${CARD}`,
    `/v1/inventory/${CARD}?sale_id=${CARD}`,
    `/${CARD}`,
  ]) {
    const { status, text } = await send('GET', path, '', stack.admin, {
      'request-id': CARD,
      'user-agent': CARD,
    });
    expect([path, status]).toEqual([path, 404]);
    answers.push(text);
  }

  // Somebody buys, by a road that ends well and by one that does not.
  const order = async (token: string, payment: string) => {
    const { status, text } = await send(
      'POST',
      '/v1/checkout',
      {
        ...{
          sale_id: 'demo',
          items: [{ sku: 'espresso-kit', qty: 1 }],
          contact: { email: MAIL, phone: PHONE },
        },
        payment_method: { type: 'card', token: payment },
        shipping_address: { name: 'Ada', line1: STREET, city: 'London', postal_code: 'E1', country: 'GB' },
      },
      token,
    );
    expect(status).toBe(201);
    return JSON.parse(text).order_id as string;
  };
  const buyers = ['canary-a', 'canary-b'].map((sub) => stack.api.token(sub, 'buyer'));
  const bought = await order(buyers[0], 'pm_ok');
  const declined = await order(buyers[1], PAYMENT);
  const stateOf = async (id: string, token: string) =>
    JSON.parse((await send('GET', `/v1/orders/${id}`, '', token)).text).state as string;
  await eventually(
    'bought',
    60_000,
    () => stateOf(bought, buyers[0]),
    (state) => state === 'confirmed',
  );
  await eventually(
    'declined',
    60_000,
    () => stateOf(declined, buyers[1]),
    (state) => state === 'payment_failed',
  );
  const shipped = await send('POST', `/v1/admin/orders/${bought}/ship`, { carrier: 'dhl' }, stack.admin);
  expect([200, 202]).toContain(shipped.status);
  // Mails are sent of these.
  await eventually(
    'mails',
    60_000,
    async () =>
      filesIn(join(folder.path, 'mailbox'))
        .map((file) => readFileSync(file, 'utf8'))
        .join(''),
    (mails) => mails.includes(MAIL),
  );
  // What only the memory of Postgres has goes into its files.
  await stack.sql('CHECKPOINT');

  const state = JSON.parse(readFileSync(join(folder.path, 'state.json'), 'utf8'));
  const passwords = [
    ...Object.values(state.redis_passwords ?? {}),
    ...Object.values(state.ledger_passwords ?? {}),
  ];
  const secrets = [
    ...[state.jwt_secret, state.psp_secret, state.webhook_key, ...passwords],
    readFileSync(join(folder.path, 'postgres/password'), 'utf8').trim(),
    // Tokens, by what makes them valid.
    ...[stack.admin, ...buyers].map((token) => token.split('.')[2]),
  ] as string[];
  const found: string[] = [];
  const look = (where: string, bytes: Buffer, canaries: readonly string[]) => {
    for (const canary of canaries) if (bytes.includes(canary)) found.push(`${canary} in ${where}`);
  };

  const files = filesIn(folder.path);
  const folders = new Set(files.map((file) => relative(folder.path, file).split('/')[0]));
  expect([...folders]).toEqual(expect.arrayContaining(['redis', 'postgres', 'logs', 'sandbox', 'mailbox']));
  for (const file of files) {
    const name = relative(folder.path, file);
    const bytes = readFileSync(file);
    look(name, bytes, CARDS);
    // Where they are kept, and for nobody else to read.
    const keeps = ['state.json', 'postgres/password'].includes(name) || /\.acl$/.test(name);
    if (keeps) expect([name, statSync(file).mode & 0o077]).toEqual([name, 0]);
    else look(name, bytes, secrets);
    if (name.startsWith('logs/')) look(name, bytes, [PAYMENT, STREET, MAIL, PHONE, 'canary']);
    if (name.startsWith('sandbox/')) look(name, bytes, [STREET]);
    if (name.startsWith('mailbox/')) look(name, bytes, [PAYMENT]);
  }
  // The search finds what is there.
  const of = (part: string) => files.filter((file) => `/${relative(folder.path, file)}`.includes(`/${part}`));
  const holds = (part: string, canary: string) =>
    of(part).some((file) => readFileSync(file).includes(canary));
  expect([holds('redis/', STREET), holds('postgres/', STREET), holds('pg_wal/', STREET)]).toEqual([
    true,
    true,
    true,
  ]);
  expect(of('logs/').some((file) => readFileSync(file, 'utf8').includes('"route":"checkout"'))).toBe(true);

  for (const port of ['', state.ports.reconciler, state.ports.sandbox]) {
    const url = port === '' ? stack.url : `http://127.0.0.1:${port}`;
    const metrics = await (await fetch(`${url}/metrics`)).text();
    look(`metrics of ${url}`, Buffer.from(metrics), [...CARDS, ...secrets, 'canary']);
  }
  for (const part of ['engine', 'reconciler', 'sandbox', 'mailbox', 'Redis', 'Postgres'] as const) {
    look(`command line of ${part}`, readFileSync(`/proc/${stack.pidOf(part)}/cmdline`), secrets);
  }
  // Not what the supervisor prints: its user is told the secret that tokens are signed with.
  look('answers', Buffer.from(answers.join('\n')), [...CARDS, ...secrets]);
  expect(found).toEqual([]);
}, 240_000);
