/** Fields that nobody offered, and values of the wrong kind, in every body of the API document and at every depth. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newKey, startTestEngine, type TestEngine } from '../support/engine.ts';
import type { Json, Operation, Schema } from './fuzz/document.ts';
import {
  everythingHeld,
  makeThings,
  operationsOf,
  requestFor,
  type Things,
} from './support/every-operation.ts';

let t: TestEngine;
let things: Things;
let operations: Operation[];
let before: string;

beforeAll(async () => {
  t = await startTestEngine({
    env: { DEMO_SALE: 'demo', WEBHOOK_SIGNING_KEY: 'a-signing-key-for-tests-that-nobody-guesses' },
  });
  things = await makeThings(t, 'ada');
  operations = (await operationsOf(t)).filter(({ method }) => method === 'POST' || method === 'PATCH');
  await t.stopReconciler();
  before = await everythingHeld(t);
});
afterAll(() => t.stop());

/** As somebody would send it who hopes. */
const HOPES: Readonly<Record<string, Json>> = {
  ...{
    price: 1,
    unit_price: 1,
    total: 1,
    amount: 1,
    amounts: { total: 1 },
    discount: 99_999,
    currency: 'JPY',
  },
  ...{
    state: 'confirmed',
    status: 'paid',
    captured: 100,
    refunded: 0,
    reversal_wanted: false,
    confirmed: true,
  },
  ...{
    user_id: 'ada',
    buyer: 'ada',
    buyer_id: 'ada',
    sub: 'ada',
    role: 'admin',
    is_admin: true,
    actor: 'admin:ops',
  },
  ...{
    tenant: 'other',
    tenant_id: 'other',
    epoch: 1,
    generation: 2,
    seq: 1,
    identity: 'x',
    sale_no: 1,
    gate: 'open',
  },
  ...{
    expires_at: '2099-01-01T00:00:00.000Z',
    hold_ms: 1e9,
    hold_seconds: 1e6,
    limit: 0,
    limit_per_buyer: 0,
  },
  ...{
    order_id: 'x',
    id: 'x',
    available: 1e6,
    held: 0,
    not_after: 9e15,
    created_at: '2020-01-01T00:00:00.000Z',
  },
  ...{
    __proto__: null,
    constructor: { prototype: { role: 'admin' } },
    prototype: {},
    toString: 'x',
    $where: '1',
  },
};

/** Paths of objects in a body, as the schema says: '' for the body. */
function objectsIn(value: Json, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.entries(value).flatMap(([name, part]) => objectsIn(part as Json, `${path}/${name}`));
  return Array.isArray(value) ? inner : [path, ...inner];
}

function at(body: Json, path: string): Record<string, Json> {
  return path
    .split('/')
    .slice(1)
    .reduce((holder, part) => (holder as Record<string, Json>)[part], body) as Record<string, Json>;
}

function schemaAt(schema: Schema | undefined, path: string): Schema | undefined {
  return path
    .split('/')
    .slice(1)
    .reduce<Schema | undefined>(
      (found, part) => (found?.items && /^\d+$/.test(part) ? found.items : found?.properties?.[part]),
      schema,
    );
}

const bodyOf = (operation: Operation): Json => requestFor(operation, things).body ?? {};
const schemaOf = ({ body }: Operation): Schema => (typeof body === 'object' ? body : {});

function send(operation: Operation, raw: string) {
  const { path } = requestFor(operation, things);
  const token = t.buyer('ada', { role: 'admin' });
  return t.call(operation.method as 'POST', path, { token, key: newKey(), raw });
}

describe('a field that nobody offered', () => {
  it('is refused in every body and at every depth, by its name, and nothing has happened', async () => {
    let refused = 0;
    for (const operation of operations.filter(({ body }) => body !== 'signed')) {
      const body = bodyOf(operation);
      for (const path of objectsIn(body)) {
        const offered = Object.keys(schemaAt(schemaOf(operation), path)?.properties ?? {});
        const asked = Object.keys(HOPES)
          .concat('__proto__')
          .filter((name) => !offered.includes(name));
        const answers = await Promise.all(
          asked.map(async (name) => {
            const changed = structuredClone(body);
            const value = HOPES[name] ?? { role: 'admin' };
            Object.defineProperty(at(changed, path), name, { value, enumerable: true });
            return [name, await send(operation, JSON.stringify(changed))] as const;
          }),
        );
        for (const [name, { status, body: told }] of answers) {
          const paths = told.errors?.map((fault: { path: string }) => fault.path);
          expect([operation.id, path, name, status, told.code, paths]).toEqual([
            ...[operation.id, path, name, 400, 'invalid_request'],
            expect.arrayContaining([`${path}/${name}`]),
          ]);
          refused += 1;
        }
      }
    }
    expect(refused).toBeGreaterThan(700);
    expect(({} as { role?: string }).role).toBeUndefined();
    expect(await everythingHeld(t)).toBe(before);
  }, 120_000);
});

describe('a value of the wrong kind', () => {
  /** As JSON text: some can't be had otherwise. */
  const WRONG: Readonly<Record<string, readonly string[]>> = {
    integer: [
      '1.5',
      '"1"',
      '"a"',
      'true',
      'null',
      '[1]',
      '{"$gt":0}',
      '1e400',
      '-1e400',
      '9007199254740993000',
      '0.1',
      '1e-7',
    ],
    string: ['1', 'true', 'null', '["a"]', '{"toString":"a"}', '""', '"\\u0000"', '"a\\u0000"', '"\\ud800"'],
    boolean: ['"true"', '1', '0', 'null', '"false"', '[]'],
    array: ['{}', '"a"', '1', 'null', '{"length":1,"0":{}}', '[null]', '[[]]'],
    object: ['[]', '"a"', '1', 'null', 'true'],
  };
  const PLACE = '\u0000place\u0000';

  /** Every place of a sampled body, with its schema. */
  function places(value: Json, schema: Schema | undefined, path = ''): [string, Schema][] {
    const here: [string, Schema][] = schema?.type ? [[path, schema]] : [];
    if (typeof value !== 'object' || value === null) return here;
    const inner = Object.entries(value).flatMap(([name, part]) =>
      places(
        part as Json,
        Array.isArray(value) ? schema?.items : schema?.properties?.[name],
        `${path}/${name}`,
      ),
    );
    return [...here, ...inner];
  }

  it('is refused at its place: nothing is taken for something near it', async () => {
    let refused = 0;
    for (const operation of operations.filter(({ body }) => body !== undefined && body !== 'signed')) {
      const body = bodyOf(operation);
      for (const [path, schema] of places(body, schemaOf(operation))) {
        const { minimum, maximum, type = '' } = schema;
        const wrong = [...WRONG[type]];
        if (type === 'integer') {
          if (minimum !== undefined) wrong.push(String(minimum - 1), String(-1 - Math.abs(minimum)));
          if (maximum !== undefined) wrong.push(String(maximum + 1));
        }
        const holder = structuredClone({ body });
        const parts = `/body${path}`.split('/').slice(1);
        const last = parts.pop() ?? '';
        const inner = parts.reduce<unknown>(
          (found, part) => (found as Record<string, unknown>)[part],
          holder,
        );
        (inner as Record<string, unknown>)[last] = PLACE;
        const text = JSON.stringify(holder.body);
        for (const value of wrong) {
          const { status, body: told } = await send(
            operation,
            text.replace(JSON.stringify(PLACE), () => value),
          );
          expect([operation.id, path, value, status, told.code]).toEqual([
            operation.id,
            path,
            value,
            400,
            'invalid_request',
          ]);
          refused += 1;
        }
      }
    }
    expect(refused).toBeGreaterThan(400);
    expect(await everythingHeld(t)).toBe(before);
  }, 120_000);

  it.each(['0', '-1', '1.5', '1e9', '"1"', '1001', 'null', '-0', '1e400'])(
    '%s is no quantity',
    async (qty) => {
      const raw = `{"sale_id":"${things.sale}","items":[{"sku":"a","qty":${qty}}]}`;
      const { status, body } = await t.call('POST', '/v1/inventory/lock', {
        token: t.buyer(),
        key: newKey(),
        raw,
      });
      expect([status, body.errors?.[0].path]).toEqual([400, '/items/0/qty']);
    },
  );

  it('of two values of one name the last counts, for us as for any reader of JSON', async () => {
    const raw = `{"sale_id":"${things.sale}","items":[{"sku":"a","qty":1,"qty":2}]}`;
    const { status, body } = await t.call('POST', '/v1/inventory/lock', {
      token: t.buyer(),
      key: newKey(),
      raw,
    });
    expect([status, body.items]).toEqual([201, [{ sku: 'a', qty: 2, unit_price: 1_000 }]]);
  });
});
