/**
 * A request for each operation of the API document, fine in itself, about things that exist: what a test then asks as
 * somebody who may not. A new route is asked as well, without a word here.
 */
import type { Answered, TestEngine } from '../../support/engine.ts';
import { newKey } from '../../support/engine.ts';
import { type Document, type Json, type Operation, readOperations } from '../fuzz/document.ts';
import { createDraw } from '../fuzz/draw.ts';
import { sample } from '../fuzz/sample.ts';

/** Things that a request is about. */
export type Things = { sale: string; order: string; endpoint: string };

export type Asked = { path: string; body?: Json };

export async function operationsOf(t: TestEngine): Promise<Operation[]> {
  return readOperations((await t.call('GET', '/openapi.json')).body as Document);
}

/** Not long ago: what is older is not kept. */
const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();
const TIMES = { since: ago(60), until: ago(1) };

export function requestFor(operation: Operation, { sale, order, endpoint }: Things): Asked {
  const draw = createDraw(1);
  const known = (name: string) =>
    ({
      sale_id: sale,
      order_id: order,
      sku: 'a',
      qty: 1,
      token: 'pm_ok',
      psp: 'sandbox',
      id: sale,
      ...TIMES,
    })[name] ?? (name.endsWith('url') ? 'https://hooks.shop.example/x' : undefined);
  const idOf = (name: string) => {
    if (name === 'psp') return 'sandbox';
    if (name === 'sku') return 'a';
    if (operation.path.includes('/orders/')) return order;
    return operation.path.includes('/webhooks/') ? endpoint : sale;
  };
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name) => idOf(name));
  const query = operation.parameters
    .filter(({ in: place, required }) => place === 'query' && required)
    .map(({ name, schema }) => `${name}=${sample(schema, draw, known, name)}`);
  return {
    path: query.length > 0 ? `${path}?${query.join('&')}` : path,
    ...(typeof operation.body === 'object' && { body: sample(operation.body, draw, known) }),
  };
}

export function ask(
  t: TestEngine,
  operation: Operation,
  things: Things,
  authorization: string | undefined,
): Promise<Answered> {
  const { path, body } = requestFor(operation, things);
  return t.call(operation.method as 'GET', path, {
    ...(body !== undefined && { body }),
    key: newKey(),
    // The same each time, so that answers may be compared to the letter.
    headers: { 'request-id': 'request-of-a-test', ...(authorization !== undefined && { authorization }) },
  });
}

/** A sale with an order that the ledger has, and a webhook endpoint, of the engine's own tenant. */
export async function makeThings(t: TestEngine, owner: string): Promise<Things> {
  const sale = await t.sale();
  const token = t.buyer(owner);
  const bought = await t.buy(sale, { token });
  const order: string = bought.body.order_id;
  const hook = { url: 'https://hooks.shop.example/stampede' };
  const made = await t.call('POST', '/v1/merchant/webhooks', { token: t.admin, body: hook });
  for (;;) {
    const { body } = await t.call('GET', `/v1/orders/${order}`, { token });
    if (body.source === 'ledger') return { sale, order, endpoint: made.body.id };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** All that the ledger holds but for times of its own heartbeat, and what is on sale. */
export async function everythingHeld(t: TestEngine): Promise<string> {
  const { rows } = await t.db.query(
    `SELECT format('%I', tablename) AS name FROM pg_tables
      WHERE schemaname = 'public' AND tablename NOT IN ('heartbeat', 'pgmigrations') ORDER BY 1`,
  );
  const parts: string[] = [];
  for (const { name } of rows) {
    const found = await t.db.query(`SELECT r::text AS row FROM ${name} r ORDER BY 1`);
    parts.push(`${name}: ${found.rows.map(({ row }) => row).join('\n')}`);
  }
  return parts.join('\n\n');
}
