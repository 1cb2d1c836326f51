/** What an answer tells when something inside is broken: that it is, and under which id it is logged. */
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findSale } from '../../ledger/stream/cursor.ts';
import { saleKeys } from '../../lua/keys.ts';
import { connectRedis, redisReady } from '../../platform/redis.ts';
import { type Answered, startTestEngine, type TestEngine } from '../support/engine.ts';
import type { Operation } from './fuzz/document.ts';
import { INSIDE } from './fuzz/judge.ts';
import { ask, makeThings, operationsOf, type Things } from './support/every-operation.ts';

let t: TestEngine;
let things: Things;
let operations: Operation[];
let redis: Redis;

beforeAll(async () => {
  t = await startTestEngine({
    env: { DEMO_SALE: 'demo', WEBHOOK_SIGNING_KEY: 'a-signing-key-for-tests-that-nobody-guesses' },
  });
  things = await makeThings(t, 'ada');
  operations = await operationsOf(t);
  await t.stopReconciler();
  redis = connectRedis(t.redis_url);
  redis.on('error', () => {});
  await redisReady(redis, 5_000);
});
afterAll(async () => {
  redis.disconnect();
  await t.stop();
});

/** Asks everything, as the buyer whose order it is with all roles. Fails on words that only our inside has. */
async function askAll(): Promise<Map<string, Answered>> {
  const answers = new Map<string, Answered>();
  for (const operation of operations) {
    const answer = await ask(t, operation, things, `Bearer ${t.buyer('ada', { role: 'admin' })}`);
    answers.set(operation.id, answer);
    if (answer.status < 400) continue;
    const told = answer.text + JSON.stringify([...answer.headers]);
    expect([operation.id, INSIDE.filter((words) => words.test(told))]).toEqual([operation.id, []]);
    expect([operation.id, told.includes(t.tenant)]).toEqual([operation.id, false]);
    if (answer.status < 500) continue;
    expect([operation.id, Object.keys(answer.body).sort()]).toEqual([
      operation.id,
      ['code', 'detail', 'request_id', 'status', 'title', 'type'],
    ]);
  }
  return answers;
}

/** A column of each, without which it can't be read. A table that is gone would pass for a ledger not made yet: 503. */
const columns = ['orders.buyer', 'sales.currency', 'skus.total', 'attempts.amount', 'webhook_endpoints.url'];

async function rename(column: string, where: 'gone' | 'back'): Promise<void> {
  const [table, name] = column.split('.');
  const [from, to] = where === 'gone' ? [name, `${name}_gone`] : [`${name}_gone`, name];
  await t.db.query(`ALTER TABLE ${table} RENAME COLUMN ${from} TO ${to}`);
}

describe('a failure inside', () => {
  it('a ledger whose columns are gone: 500 or 503 without a word of it, and the log knows', async () => {
    for (const column of columns) await rename(column, 'gone');
    const answers = await askAll();
    for (const column of columns) await rename(column, 'back');
    const failed = [...answers].filter(([, { status }]) => status === 500);
    expect(failed.length).toBeGreaterThan(10);
    for (const [id, { body }] of failed) expect([id, body.code]).toEqual([id, 'internal_error']);
    expect(t.logged()).toContain('a request failed');
    expect(t.logged()).not.toContain('eyJ');
  });

  it('a Redis whose keys are of another kind: the same, and nothing is taken', async () => {
    const sale = await findSale(t.db, t.tenant, things.sale);
    if (!sale) throw new Error('no sale');
    const keys = saleKeys({ tenant: t.tenant, sale: things.sale, generation: sale.generation });
    const before = Number(await redis.hget(keys.available, 'a'));
    for (const [name, key] of [
      ['available', keys.available],
      ['held', keys.held],
      ['record', keys.record],
    ]) {
      await redis.rename(key, `${key}:kept`);
      await redis.set(key, 'of another kind');
      const answers = await askAll();
      const told = ['checkout', 'lock', 'reduce'].map((id) => answers.get(id)?.status ?? 0);
      for (const status of told) expect([name, status, status >= 500]).toEqual([name, status, true]);
      await redis.del(key);
      await redis.rename(`${key}:kept`, key);
    }
    expect(Number(await redis.hget(keys.available, 'a'))).toBe(before);
  });
});
