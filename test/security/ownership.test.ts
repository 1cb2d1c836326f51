/**
 * What is somebody else's: on every route of the API document that names a sale, an order or an endpoint, whoever may not
 * have it is told what everybody is told of what is not there, to the letter, and nothing has happened.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answered, startTestEngine, type TestEngine } from '../support/engine.ts';
import type { Operation } from './fuzz/document.ts';
import {
  ask,
  everythingHeld,
  makeThings,
  operationsOf,
  requestFor,
  type Things,
} from './support/every-operation.ts';

const OWNER = 'ada';
let t: TestEngine;
let things: Things;
let operations: Operation[];
let before: string;

beforeAll(async () => {
  t = await startTestEngine({
    env: { DEMO_SALE: 'demo', WEBHOOK_SIGNING_KEY: 'a-signing-key-for-tests-that-nobody-guesses' },
  });
  things = await makeThings(t, OWNER);
  operations = await operationsOf(t);
  // From here on nothing changes by itself.
  await t.stopReconciler();
  before = await everythingHeld(t);
});
afterAll(() => t.stop());

/** Of the right form, and nobody's. */
const UNKNOWN: Things = { sale: 's-nobody', order: 'A'.repeat(32), endpoint: 'whe_000000000000000000000000' };

/** Does it name one of our things? A new sale may have any name, and providers have no owners. */
function named(operation: Operation): boolean {
  if (['create_sale', 'webhook', 'live', 'demo_session'].includes(operation.id)) return false;
  return JSON.stringify(requestFor(operation, things)) !== JSON.stringify(requestFor(operation, UNKNOWN));
}

/** All that an answer tells, but for when. */
function told({ status, headers, text }: Answered): unknown {
  return [status, text, [...headers].filter(([name]) => name !== 'date')];
}

const bearer = (token: string) => `Bearer ${token}`;

describe('another tenant', () => {
  it.each(['buyer', 'merchant', 'admin'])(
    'in the role of a %s: as if it were not there',
    async (role) => {
      let asked = 0;
      for (const operation of operations.filter(named)) {
        for (const sub of [OWNER, 'operator', 'eve']) {
          const stranger = bearer(t.buyer(sub, { role, tenant: `${t.tenant}-2` }));
          const answer = await ask(t, operation, things, stranger);
          const unknown = await ask(t, operation, UNKNOWN, stranger);
          expect([operation.id, told(answer)]).toEqual([operation.id, told(unknown)]);
          expect([operation.id, [403, 404].includes(answer.status)]).toEqual([operation.id, true]);
          if (answer.status === 403)
            expect([operation.id, operation.role]).not.toEqual([operation.id, 'buyer']);
          asked += 1;
        }
      }
      expect(asked).toBeGreaterThan(60);
      expect(await everythingHeld(t)).toBe(before);
    },
    60_000,
  );

  it('is shown nothing of it where it lists what is its own, and cannot be named in a request', async () => {
    const stranger = t.buyer('operator', { role: 'admin', tenant: `${t.tenant}-2` });
    for (const operation of operations.filter(
      (one) => one.method === 'GET' && one.role !== 'all' && !named(one),
    )) {
      for (const query of ['', `?tenant=${t.tenant}`, `?sale_id=${things.sale}`]) {
        const { text, status } = await t.call('GET', operation.path + query, { token: stranger });
        expect([operation.id, query, [200, 400].includes(status)]).toEqual([operation.id, query, true]);
        for (const id of [things.order, things.endpoint])
          expect([operation.id, query, text.includes(id)]).toEqual([operation.id, query, false]);
      }
    }
  });
});

describe('the same tenant', () => {
  it('an order is its buyer’s: another buyer, a merchant and an admin see none on the buyer’s routes', async () => {
    const buyers = operations.filter((one) => one.role === 'buyer' && named(one));
    const of_orders = buyers.filter((one) => JSON.stringify(requestFor(one, things)).includes(things.order));
    expect(of_orders.map(({ id }) => id).sort()).toEqual(
      expect.arrayContaining(['cancel', 'confirm', 'initiate', 'order']),
    );
    for (const operation of of_orders) {
      for (const [sub, role] of [
        ['eve', 'buyer'],
        ['Ada', 'buyer'],
        ['eve', 'merchant'],
        ['operator', 'admin'],
      ]) {
        const who = bearer(t.buyer(sub, { role }));
        const answer = await ask(t, operation, things, who);
        const unknown = await ask(t, operation, UNKNOWN, who);
        expect([operation.id, sub, told(answer)]).toEqual([operation.id, sub, told(unknown)]);
        expect(answer.status).toBe(404);
      }
    }
    expect(await everythingHeld(t)).toBe(before);
  });

  it('a buyer is no merchant, a merchant no admin: 403 before anything is looked at', async () => {
    const ranks = ['buyer', 'merchant', 'admin'];
    for (const operation of operations.filter(({ role }) => ranks.includes(role))) {
      for (const role of ranks.slice(0, ranks.indexOf(operation.role))) {
        for (const about of [things, UNKNOWN]) {
          const { status, body } = await ask(t, operation, about, bearer(t.buyer(OWNER, { role })));
          expect([operation.id, role, status, body.code]).toEqual([operation.id, role, 403, 'forbidden']);
        }
      }
    }
    expect(await everythingHeld(t)).toBe(before);
  }, 60_000);
});

describe('order ids', () => {
  it('lead to nothing when one letter is another, whoever asks', async () => {
    const token = t.buyer(OWNER);
    expect((await t.call('GET', `/v1/orders/${things.order}`, { token })).status).toBe(200);
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    for (let at = 0; at < things.order.length; at++) {
      for (const step of [1, 17]) {
        const letter = letters[(letters.indexOf(things.order[at]) + step) % 64];
        const id = things.order.slice(0, at) + letter + things.order.slice(at + 1);
        expect([id, (await t.call('GET', `/v1/orders/${id}`, { token })).status]).toEqual([id, 404]);
      }
    }
  });

  it('of one buyer’s orders tell nothing of the next: at least 16 bytes differ as if thrown', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 40; i++) {
      const { body } = await t.buy(things.sale, { token: t.buyer(OWNER) });
      ids.push(body.order_id);
    }
    expect(new Set(ids).size).toBe(40);
    const tails = ids.map((id) => Buffer.from(id, 'base64url').subarray(-16));
    // Of 128 bits any two share about 64; that far from it is one in a billion.
    for (const [i, one] of tails.entries()) {
      for (const other of tails.slice(i + 1)) {
        let differing = 0;
        for (let byte = 0; byte < 16; byte++) {
          for (let bits = one[byte] ^ other[byte]; bits > 0; bits &= bits - 1) differing += 1;
        }
        expect(differing).toBeGreaterThan(25);
        expect(differing).toBeLessThan(103);
      }
    }
  });
});
