/** The few requests of a run that are not the rush itself. */
import { createSigner } from 'fast-jwt';

export type Answer = { status: number; headers: Headers; body: Record<string, unknown> };

export type Api = {
  token(sub: string, role: 'buyer' | 'admin'): string;
  call(method: 'GET' | 'POST', path: string, request: Request): Promise<Answer>;
};

export type Request = { token: string; key?: string; body?: unknown };

const TOKEN_SECONDS = 3_600;
const TIMEOUT_MS = 15_000;

export function connectApi(url: string, jwt_secret: string): Api {
  const sign = createSigner({ key: jwt_secret, algorithm: 'HS256' });
  const exp = Math.floor(Date.now() / 1_000) + TOKEN_SECONDS;
  return {
    token: (sub, role) => sign({ sub, role, aud: 'stampede', exp }),
    async call(method, path, { token, key, body }) {
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(key && { 'idempotency-key': key }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : {} };
    },
  };
}

/** `work` for all items, `width` at a time; results in the order of the items. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i]!);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return results;
}
