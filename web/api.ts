/** Calls to the engine. Every call ends: with an answer, a refusal, or `lost` where no one knows what happened. */
import type { Accepted, CheckoutBody, Order, Problem, Sale } from './api-types.ts';
import type { ServerClock } from './server-clock.ts';

export type Answer<T> =
  | { kind: 'ok'; body: T }
  | { kind: 'refused'; problem: Problem; retry_after_ms: number | undefined }
  /** No answer, or none that could be read: it may have been carried out. */
  | { kind: 'lost' };

export type Api = {
  sale(sale_id: string): Promise<Answer<Sale>>;
  checkout(body: CheckoutBody, idempotency_key: string): Promise<Answer<Accepted>>;
  order(order_id: string): Promise<Answer<Order>>;
  cancel(order_id: string): Promise<Answer<unknown>>;
};

const TIMEOUT_MS = 10_000;

/** `token` is asked at every call: a session may be renewed. */
export function createApi(options: {
  clock: ServerClock;
  token: () => string | undefined;
  fetch?: typeof fetch;
  timeout_ms?: number;
}): Api {
  const send = options.fetch ?? fetch.bind(globalThis);
  const timeout_ms = options.timeout_ms ?? TIMEOUT_MS;

  async function call<T>(
    method: 'GET' | 'POST',
    path: string,
    body?: unknown,
    idempotency_key?: string,
  ): Promise<Answer<T>> {
    const headers: Record<string, string> = { accept: 'application/json, application/problem+json' };
    const token = options.token();
    if (token) headers.authorization = `Bearer ${token}`;
    if (idempotency_key) headers['idempotency-key'] = idempotency_key;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const sent_ms = performance.now();
    try {
      const response = await send(path, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: 'no-store',
        signal: AbortSignal.timeout(timeout_ms),
      });
      const answer = (await response.json().catch(() => undefined)) as unknown;
      if (response.ok) {
        if (answer === undefined) return { kind: 'lost' };
        options.clock.observe(timeIn(answer), sent_ms, performance.now());
        return { kind: 'ok', body: answer as T };
      }
      return {
        kind: 'refused',
        problem: problemIn(answer, response.status),
        retry_after_ms: retryAfterMs(response.headers),
      };
    } catch {
      return { kind: 'lost' };
    }
  }

  const id = encodeURIComponent;
  return {
    sale: (sale_id) => call('GET', `/v1/sales/${id(sale_id)}`),
    checkout: (body, key) => call('POST', '/v1/checkout', body, key),
    order: (order_id) => call('GET', `/v1/orders/${id(order_id)}`),
    cancel: (order_id) => call('POST', `/v1/orders/${id(order_id)}/cancel`),
  };
}

/** Only an answer's own time is the present: that of a checkout is the first answer's, also when it is repeated. */
function timeIn(answer: unknown): string | undefined {
  return (answer as { server_time?: string }).server_time;
}

/** Something in between (a proxy, a load balancer) may answer without a problem document. */
function problemIn(answer: unknown, status: number): Problem {
  const problem = answer as Partial<Problem> | undefined;
  if (typeof problem?.code === 'string') return { ...problem, code: problem.code, status };
  return { code: status >= 500 ? 'unavailable' : 'unknown', status };
}

/** Retry-After in seconds or as a date, which counts from the answer's own Date. */
export function retryAfterMs(headers: Headers): number | undefined {
  const text = headers.get('retry-after');
  if (!text) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const ms = Date.parse(text) - Date.parse(headers.get('date') ?? '');
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
