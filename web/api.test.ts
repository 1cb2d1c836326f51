import { describe, expect, it } from 'vitest';
import { createApi, retryAfterMs } from './api.ts';
import { createServerClock } from './server-clock.ts';

function apiAnswering(answer: () => Promise<Response>) {
  const calls: { path: string; init: RequestInit }[] = [];
  const send = (async (path: string, init: RequestInit) => {
    calls.push({ path, init });
    return answer();
  }) as typeof fetch;
  const clock = createServerClock();
  return { api: createApi({ clock, token: () => 'T', fetch: send }), calls, clock };
}

describe('calls to the engine', () => {
  it('give the answer, and the time that stands in it', async () => {
    const { api, calls, clock } = apiAnswering(async () =>
      Response.json({ server_time: new Date().toISOString(), items: [] }),
    );
    expect(await api.sale('a b')).toMatchObject({ kind: 'ok', body: { items: [] } });
    expect(calls[0]?.path).toBe('/v1/sales/a%20b');
    expect(new Headers(calls[0]?.init.headers).get('authorization')).toBe('Bearer T');
    expect(Math.abs((clock.now() ?? 0) - Date.now())).toBeLessThan(1_000);
  });

  it('are lost where no answer comes, or half of one', async () => {
    const refused = apiAnswering(() => Promise.reject(new TypeError('network')));
    expect(await refused.api.order('o')).toEqual({ kind: 'lost' });
    const half = apiAnswering(async () => new Response('{"order_id":', { status: 201 }));
    expect(await half.api.order('o')).toEqual({ kind: 'lost' });
  });

  it('give the refusal with its wait', async () => {
    const problem = { code: 'overloaded', status: 503, title: 'Busy' };
    const { api } = apiAnswering(async () =>
      Response.json(problem, { status: 503, headers: { 'retry-after': '2' } }),
    );
    expect(await api.order('o')).toEqual({ kind: 'refused', problem, retry_after_ms: 2_000 });
  });

  it('take a 502 of something in between as unavailable', async () => {
    const { api } = apiAnswering(async () => new Response('<h1>Bad gateway</h1>', { status: 502 }));
    expect(await api.order('o')).toMatchObject({ problem: { code: 'unavailable', status: 502 } });
  });
});

describe('Retry-After', () => {
  it.each([
    [{ 'retry-after': '3' }, 3_000],
    [{ 'retry-after': 'Tue, 01 Jan 2030 00:00:09 GMT', date: 'Tue, 01 Jan 2030 00:00:04 GMT' }, 5_000],
    [{}, undefined],
    [{ 'retry-after': 'soon' }, undefined],
  ])('%j is %j ms', (headers, ms) => {
    expect(retryAfterMs(new Headers(headers as Record<string, string>))).toBe(ms);
  });
});
