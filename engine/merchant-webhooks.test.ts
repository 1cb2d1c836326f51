import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WEBHOOK_ENDPOINTS_MAX } from '../domain/limits.ts';
import { type Answered, startTestEngine, type TestEngine } from '../test/support/engine.ts';
import type { Method } from './endpoint.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine({ env: { WEBHOOK_SIGNING_KEY: 'a-signing-key-for-tests-that-nobody-guesses' } });
});
afterAll(() => t.stop());

const PATH = '/v1/merchant/webhooks';
const URL_ = 'https://hooks.shop.example/stampede';
const refusal = ({ status, body }: Answered) => [status, body.code];
const as = (tenant: string, role = 'merchant') => t.buyer('someone', { tenant, role });
const ask = (method: Method, path = '', body?: unknown, token = as(t.tenant)) =>
  t.call(method, PATH + path, { token, body });

async function made(body: object = {}): Promise<{ id: string; secret: string }> {
  const answer = await ask('POST', '', { url: URL_, ...body });
  expect(answer.status).toBe(201);
  return answer.body;
}

describe('a merchant', () => {
  it('subscribes, and is told the secret once', async () => {
    const answer = await ask('POST', '', {
      url: URL_,
      types: ['order.confirmed', 'payment.refunded'],
      description: 'warehouse',
    });
    expect(answer.status).toBe(201);
    const { id, secret, ...rest } = answer.body;
    expect(answer.headers.get('location')).toBe(`${PATH}/${id}`);
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(rest).toEqual({
      ...{ url: URL_, types: ['order.confirmed', 'payment.refunded'], description: 'warehouse' },
      ...{ enabled: true, disabled: null, failing_since: null, previous_secret_until: null },
      ...{ created_at: expect.any(String), updated_at: expect.any(String) },
    });
    const one = await ask('GET', `/${id}`);
    expect(one.body).toEqual({ id, ...rest, deliveries: [] });
    expect((await ask('GET')).body.endpoints).toContainEqual({ id, ...rest });
    expect(t.logged()).not.toContain(secret);
  });

  it('is told what is wrong with a URL or a type', async () => {
    for (const url of [
      'http://hooks.shop.example/',
      'https://127.0.0.1/',
      'https://u:p@shop.example/',
      'nonsense',
    ]) {
      const answer = await ask('POST', '', { url });
      expect([answer.status, answer.body.errors[0].path]).toEqual([400, '/url']);
    }
    const type = await ask('POST', '', { url: URL_, types: ['order.sold'] });
    expect([type.status, type.body.errors[0].path]).toEqual([400, '/types/0']);
    expect(refusal(await ask('POST', '', {}))).toEqual([400, 'invalid_request']);
    expect(refusal(await ask('POST', '', { url: URL_, secret: 'mine' }))).toEqual([400, 'invalid_request']);
    const { id } = await made();
    expect((await ask('PATCH', `/${id}`, { url: 'https://10.0.0.1/' })).body.errors[0].path).toBe('/url');
  });

  it('changes an endpoint; what is not named stays', async () => {
    const { id } = await made({ types: ['order.confirmed'], description: 'one' });
    const off = await ask('PATCH', `/${id}`, { enabled: false });
    expect(off.body).toMatchObject({
      ...{ url: URL_, types: ['order.confirmed'], description: 'one', enabled: false },
      disabled: { reason: 'merchant', since: expect.any(String) },
    });
    const on = await ask('PATCH', `/${id}`, { enabled: true, types: [], url: `${URL_}/2` });
    expect(on.body).toMatchObject({ url: `${URL_}/2`, types: [], enabled: true, disabled: null });
  });

  it('gets a new secret, and the old one goes on for a day', async () => {
    const { id, secret } = await made();
    const rotated = await ask('POST', `/${id}/rotate`);
    expect(rotated.status).toBe(200);
    expect(rotated.body.secret).toMatch(/^whsec_/);
    expect(rotated.body.secret).not.toBe(secret);
    const left_ms = Date.parse(rotated.body.previous_secret_until) - Date.now();
    expect(left_ms).toBeGreaterThan(23 * 3_600_000);
    expect((await ask('GET', `/${id}`)).text).not.toContain('whsec_');
  });

  it('asks for a test and a replay where the endpoint is on', async () => {
    const { id } = await made();
    const test = await ask('POST', `/${id}/test`);
    expect(test.status).toBe(202);
    const { deliveries } = (await ask('GET', `/${id}`)).body;
    expect(deliveries).toMatchObject([
      { webhook_id: test.body.webhook_id, type: 'webhook.test', state: 'waiting', order_id: null, tries: 0 },
    ]);
    const since = '2027-01-31T12:00:00.000Z';
    const replay = await ask('POST', `/${id}/replay`, { since });
    expect([replay.status, replay.body]).toEqual([
      202,
      { replay_id: expect.any(Number), since, until: null },
    ]);
    const backwards = await ask('POST', `/${id}/replay`, { since, until: '2027-01-31T11:00:00.000Z' });
    expect([backwards.status, backwards.body.errors[0].path]).toEqual([400, '/until']);
    await ask('PATCH', `/${id}`, { enabled: false });
    expect(refusal(await ask('POST', `/${id}/test`))).toEqual([409, 'invalid_state']);
    expect(refusal(await ask('POST', `/${id}/replay`, { since }))).toEqual([409, 'invalid_state']);
  });

  it('deletes an endpoint for good', async () => {
    const { id } = await made();
    const gone = await ask('DELETE', `/${id}`);
    expect([gone.status, gone.text]).toEqual([204, '']);
    expect(refusal(await ask('DELETE', `/${id}`))).toEqual([404, 'not_found']);
    expect(refusal(await ask('GET', `/${id}`))).toEqual([404, 'not_found']);
    expect(refusal(await ask('PATCH', `/${id}`, { enabled: true }))).toEqual([404, 'not_found']);
  });

  it('has no more endpoints than a tenant may have, also when many come at once', async () => {
    const token = as(`${t.tenant}-many`);
    const answers = await Promise.all(
      Array.from({ length: WEBHOOK_ENDPOINTS_MAX + 5 }, () => ask('POST', '', { url: URL_ }, token)),
    );
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(WEBHOOK_ENDPOINTS_MAX);
    expect(answers.filter((answer) => answer.status === 400)).toHaveLength(5);
  });
});

describe('who may', () => {
  it("sees nothing of another tenant's endpoint: the same 404 as for one that is not there", async () => {
    const { id } = await made();
    const other = as(`${t.tenant}-other`);
    const since = '2027-01-31T12:00:00.000Z';
    const all: [Method, string, unknown?][] = [
      ['GET', ''],
      ['PATCH', '', { enabled: false }],
      ['DELETE', ''],
      ['POST', '/rotate'],
      ['POST', '/test'],
      ['POST', '/replay', { since }],
    ];
    for (const [method, action, body] of all) {
      const theirs = await ask(method, `/${id}${action}`, body, other);
      const none = await ask(method, `/whe_nothing${action}`, body, other);
      expect([method, action, ...refusal(theirs)]).toEqual([method, action, 404, 'not_found']);
      expect({ ...theirs.body, request_id: '' }).toEqual({ ...none.body, request_id: '' });
    }
    expect((await ask('GET', '', undefined, other)).body).toEqual({ endpoints: [] });
    expect((await ask('GET', `/${id}`)).body.enabled).toBe(true);
  });

  it('is a merchant or an admin, and no buyer', async () => {
    expect(refusal(await ask('GET', '', undefined, as(t.tenant, 'buyer')))).toEqual([403, 'forbidden']);
    expect((await ask('GET', '', undefined, as(t.tenant, 'admin'))).status).toBe(200);
    expect((await t.call('GET', PATH)).status).toBe(401);
    const put = await fetch(`${t.url}${PATH}/x`, { method: 'PUT' });
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, HEAD, PATCH, DELETE, OPTIONS']);
  });
});

describe('a deployment without a signing key', () => {
  it('says so, and takes no endpoint', async () => {
    const without = await startTestEngine();
    try {
      const token = without.buyer('someone', { role: 'merchant' });
      const answer = await without.call('POST', PATH, { token, body: { url: URL_ } });
      expect([answer.status, answer.body.code]).toEqual([503, 'unavailable']);
      expect(answer.body.detail).toContain('WEBHOOK_SIGNING_KEY');
    } finally {
      await without.stop();
    }
  });
});
