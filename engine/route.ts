/**
 * A route and the way of a request through it, in this order: limit per address, token, role, key, media
 * type, JSON, schema, limit per buyer, handler. Nothing before the handler takes stock.
 */
import { isUtf8 } from 'node:buffer';
import { isName } from '../domain/ids.ts';
import type { Authenticate } from './access/authenticate.ts';
import { ANYONE, type Caller, type Role, roleSuffices } from './access/caller.ts';
import type { ClientAddress } from './access/client-address.ts';
import { KeysUnavailable } from './access/key-set.ts';
import type { RateLimit } from './access/rate-limit.ts';
import type { Admitted, Endpoint, Method } from './endpoint.ts';
import { idempotencyKey } from './idempotency-key.ts';
import { type Refusal, type Reply, refuse } from './reply.ts';
import type { Head } from './request.ts';
import { type BodySchema, compile, type Fault, type Validate } from './schemas/validate.ts';

/** What a handler gets. */
export type Context<B = undefined> = {
  head: Head;
  /** On routes for all: ANYONE where no token came. */
  caller: Caller;
  body: B;
  /** Idempotency-Key, '' on routes that take none. */
  key: string;
};

export type Handler<B = undefined> = (context: Context<B>) => Reply | Promise<Reply>;

export type Route = {
  /** Names it in metrics and in the API document. */
  id: string;
  method: Method;
  /** As in OpenAPI: /v1/orders/{id}. */
  path: string;
  /** The lowest role that may; `all`: no token needed, but one that is sent must count. */
  access: 'all' | Role;
  /** POST and PATCH: the schema of the body, or `raw` for its bytes and all headers. */
  body?: BodySchema<unknown> | 'raw';
  /** Needs an Idempotency-Key. */
  keyed?: boolean;
  /** What counts against whom: the buyer's checkouts, the address's requests (default), nothing. */
  limited?: 'buyer' | 'address' | 'not';
  // Checked where the route is made, by `get`, `post` and the others.
  handler: Handler<never>;
};

type Rest = Pick<Route, 'id' | 'path' | 'access' | 'keyed' | 'limited'>;

export function get(route: Rest & { handler: Handler }): Route {
  return { ...route, method: 'GET' };
}

/** The handler's body has the type of the schema. */
export function post<B>(route: Rest & { body: BodySchema<B>; handler: Handler<B> }): Route {
  return { ...route, method: 'POST' };
}

/** As `post`. What the body does not name stays as it is. */
export function patch<B>(route: Rest & { body: BodySchema<B>; handler: Handler<B> }): Route {
  return { ...route, method: 'PATCH' };
}

export function del(route: Rest & { handler: Handler }): Route {
  return { ...route, method: 'DELETE' };
}

export function postRaw(route: Rest & { handler: Handler<Buffer> }): Route {
  return { ...route, method: 'POST', body: 'raw' };
}

export type RouteServices = {
  authenticate: Authenticate;
  clientAddress: ClientAddress;
  /** Absent: no limit. */
  addressLimit?: RateLimit;
  buyerLimit?: RateLimit;
  /** If there is more to do than can be done: resolves when the refusal may be sent. Absent: there never is. */
  full?: () => Promise<void> | undefined;
  /** Told of each answer. */
  observer(route: Route): Endpoint['observe'];
  rateLimited(what: 'buyer' | 'address'): void;
};

/** What is refused first where there is too much to do: what buyers ask. Operators, providers and probes get through. */
export function mayBeShed({ access, limited, body }: Route): boolean {
  return (access === 'all' || access === 'buyer') && limited !== 'not' && body !== 'raw';
}

export function endpointOf(route: Route, services: RouteServices): Endpoint {
  const { access, keyed = false, limited = 'address' } = route;
  const handler = route.handler as Handler<unknown>;
  const validate = typeof route.body === 'object' ? compile(route.body) : undefined;
  const addressLimit = limited === 'not' ? undefined : services.addressLimit;
  const buyerLimit = limited === 'buyer' ? services.buyerLimit : undefined;
  const full = mayBeShed(route) ? services.full : undefined;

  function checked(caller: Caller | undefined): Admitted {
    if (!caller) return { refusal: UNAUTHORIZED };
    if (access !== 'all' && !roleSuffices(caller.role, access)) return { refusal: FORBIDDEN };
    return { caller };
  }

  return {
    method: route.method,
    path: route.path,
    all_headers: route.body === 'raw',
    observe: services.observer(route),

    admit(head) {
      const held = full?.();
      if (held) return { refusal: held.then(overloaded) };
      if (addressLimit) {
        const refusal = over(addressLimit, services.clientAddress(head.peer, head.forwarded_for), 'address');
        if (refusal) {
          services.rateLimited('address');
          return { refusal };
        }
      }
      if (access === 'all' && head.authorization === '') return ADMIT_ANYONE;
      const caller = services.authenticate(head.authorization);
      return caller instanceof Promise ? caller.then(checked, keysUnavailable) : checked(caller);
    },

    answer(head, caller, bytes) {
      // Whatever a path names has a name. The stores need not be asked for what they could not even hold, such as a NUL.
      if (!head.params.every(isName)) return NOT_FOUND;
      let key = '';
      if (keyed) {
        const given = idempotencyKey(head.idempotency_key);
        if (typeof given === 'object') return given;
        key = given;
      }
      let body: unknown = bytes;
      if (validate) {
        const read = readBody(validate, head, bytes as Buffer);
        if ('refusal' in read) return read.refusal;
        body = read.value;
      }
      if (buyerLimit) {
        const refusal = over(buyerLimit, caller.limit_key, 'buyer');
        if (refusal) {
          services.rateLimited('buyer');
          return refusal;
        }
      }
      return handler({ head, caller, body, key });
    },
  };
}

const UNAUTHORIZED = refuse('unauthorized', {
  headers: ['WWW-Authenticate', 'Bearer realm="stampede"'],
});
const FORBIDDEN = refuse('forbidden');
const OVERLOADED = refuse('overloaded');
const overloaded = () => OVERLOADED;
const NOT_FOUND = refuse('not_found');
const ADMIT_ANYONE: Admitted = { caller: ANYONE };

function keysUnavailable(error: unknown): Admitted {
  if (error instanceof KeysUnavailable) return { refusal: refuse('unavailable') };
  throw error;
}

/** Takes one from the bucket; the refusal if it is empty. Header fields as in the IETF draft on RateLimit. */
function over(limit: RateLimit, key: string, name: string): Refusal | undefined {
  const { remaining, retry_after_seconds, reset_seconds } = limit.take(key);
  if (remaining >= 0) return undefined;
  return refuse('rate_limited', {
    retry_after_seconds,
    headers: [
      ...['RateLimit-Policy', `"${name}";q=${limit.burst};w=${limit.window_seconds}`],
      ...['RateLimit', `"${name}";r=0;t=${reset_seconds}`],
    ],
  });
}

const JSON_MEDIA_TYPE = /^application\/json *(; *charset *= *"?utf-8"? *)?;?$/i;

/** Routes that need nothing said take a missing body as an empty object. */
function readBody(
  validate: Validate<unknown>,
  head: Head,
  bytes: Buffer,
): { value: unknown } | { refusal: Refusal } {
  if (bytes.length > 0 || head.content_type !== '') {
    if (!JSON_MEDIA_TYPE.test(head.content_type)) return { refusal: refuse('unsupported_media_type') };
  }
  if (bytes.length === 0) return validated(validate, {});
  if (!isUtf8(bytes)) return { refusal: invalid([{ path: '', message: 'must be UTF-8' }]) };
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    return { refusal: invalid([{ path: '', message: 'must be valid JSON' }]) };
  }
  return validated(validate, value);
}

function validated(validate: Validate<unknown>, value: unknown): { value: unknown } | { refusal: Refusal } {
  const result = validate(value);
  return 'faults' in result ? { refusal: invalid(result.faults) } : result;
}

/** 400 with what is wrong and where. */
export function invalid(errors: readonly Fault[]): Refusal {
  return refuse('invalid_request', { members: { errors } });
}
