/**
 * The sandbox over HTTP/1.1. Its own wire format is at the root (wires/native.ts), each provider's at its mount
 * (`/stripe/v1/payment_intents`), the levers at /admin (admin.ts), the pages that buyers see at /pay (page.ts).
 */
import { hash } from 'node:crypto';
import { createAdmin } from './admin.ts';
import { HttpRefusal } from './http-refusal.ts';
import { type HttpReply, type HttpRequest, type HttpServer, startHttpServer } from './http-server.ts';
import { createPages } from './page.ts';
import type { Sandbox } from './service.ts';
import { OWN, type Wire, type WireReply, type WireRequest } from './wires/wire.ts';

const BODY_BYTES_MAX = 64 * 1024;
/** Callers that wait for an answer that never comes are hung up on after this. */
const IDLE_MS = 60_000;
const NO_QUERY = new URLSearchParams();
const JSON_HEADERS = { 'content-type': 'application/json' };

/** Resolves when it listens. */
export function startSandboxServer(
  sandbox: Sandbox,
  options: { secret: string; port: number; host: string },
): Promise<HttpServer> {
  const own = sandbox.wires.get(OWN) as Wire;
  const admin = createAdmin(sandbox, options.secret);
  const page = createPages(sandbox);

  async function handle({ method, url, headers, text }: HttpRequest): Promise<HttpReply | 'never'> {
    const [mount, rest, query] = split(url);
    const wire = mount === 'v1' ? own : (sandbox.wires.get(mount) ?? own);
    const asked: WireRequest = {
      ...{ method, headers, text },
      path: wire === own ? `/${mount}${rest}` : rest,
      query: query === '' ? NO_QUERY : new URLSearchParams(query),
      fingerprint: () => hash('sha1', `${method} ${url}\n${text}`, 'base64').slice(0, 22),
    };
    try {
      return replyOf(await serve(wire, mount, rest, asked));
    } catch (error) {
      if (error instanceof HttpRefusal) return replyOf(wire.failure(error.http_status, error.code));
      console.error(error);
      return replyOf(wire.failure(500, 'bug'));
    }
  }

  function serve(wire: Wire, mount: string, rest: string, asked: WireRequest): Promise<WireReply> {
    if (mount === 'v1') return wire.handle(asked);
    if (mount === 'livez') return Promise.resolve({ http_status: 200, body: { live: true } });
    if (mount === 'admin') return admin(rest.slice(1), asked);
    if (mount === 'pay') return page(rest.slice(1), asked);
    return wire.handle(asked);
  }

  return startHttpServer({
    ...{ port: options.port, host: options.host, idle_ms: IDLE_MS, body_bytes_max: BODY_BYTES_MAX },
    handle,
    refuse: (http_status) => replyOf(own.failure(http_status, 'bad_request')) as HttpReply,
  });
}

/** `/stripe/v1/refunds?limit=1` -> `stripe`, `/v1/refunds`, `limit=1`. */
function split(url: string): [mount: string, rest: string, query: string] {
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = mark < 0 ? '' : url.slice(mark + 1);
  const slash = path.indexOf('/', 1);
  return slash < 0 ? [path.slice(1), '', query] : [path.slice(1, slash), path.slice(slash), query];
}

function replyOf(reply: WireReply): HttpReply | 'never' {
  if (reply === 'never') return reply;
  const { http_status, body, headers } = reply;
  return {
    http_status,
    headers: headers ? { ...JSON_HEADERS, ...headers } : JSON_HEADERS,
    text: typeof body === 'string' ? body : JSON.stringify(body),
  };
}
