/**
 * The sandbox over HTTP/1.1. Its own wire format is at the root (wires/native.ts), each provider's at its mount
 * (`/stripe/v1/payment_intents`), the levers at /admin (admin.ts), the pages that buyers see at /pay (page.ts).
 */
import { hash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createAdmin } from './admin.ts';
import { HttpRefusal } from './http-refusal.ts';
import { createPages } from './page.ts';
import type { Sandbox } from './service.ts';
import { OWN, type Wire, type WireReply, type WireRequest } from './wires/wire.ts';

const BODY_BYTES_MAX = 64 * 1024;
/** Callers that wait for an answer that never comes are hung up on after this. */
const SILENCE_MS = 60_000;
const NO_QUERY = new URLSearchParams();

export function createSandboxServer(sandbox: Sandbox, secret: string): Server {
  const own = sandbox.wires.get(OWN) as Wire;
  const admin = createAdmin(sandbox, secret);
  const page = createPages(sandbox);

  return createServer({ keepAliveTimeout: 65_000, requestTimeout: 30_000 }, (request, response) => {
    const [mount, rest, query] = split(request.url ?? '/');
    const wire = mount === 'v1' ? own : (sandbox.wires.get(mount) ?? own);
    void serve(wire, mount, rest, query, request)
      .catch((error: unknown) => {
        if (error instanceof HttpRefusal) return wire.failure(error.http_status, error.code);
        console.error(error);
        return wire.failure(500, 'bug');
      })
      .then((reply) => send(response, reply));
  });

  async function serve(
    wire: Wire,
    mount: string,
    rest: string,
    query: string,
    request: IncomingMessage,
  ): Promise<WireReply> {
    const { method = 'GET', headers } = request;
    if (mount === 'livez') return { http_status: 200, body: { live: true } };
    const text = method === 'GET' || method === 'HEAD' ? '' : await readBody(request);
    const asked: WireRequest = {
      method,
      path: wire === own ? `/${mount}${rest}` : rest,
      query: query === '' ? NO_QUERY : new URLSearchParams(query),
      headers,
      text,
      fingerprint: () => hash('sha1', `${method} ${request.url}\n${text}`, 'base64').slice(0, 22),
    };
    if (mount === 'admin') return admin(rest.slice(1), asked);
    if (mount === 'pay') return page(rest.slice(1), asked);
    return wire.handle(asked);
  }
}

/** `/stripe/v1/refunds?limit=1` -> `stripe`, `/v1/refunds`, `limit=1`. */
function split(url: string): [mount: string, rest: string, query: string] {
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = mark < 0 ? '' : url.slice(mark + 1);
  const slash = path.indexOf('/', 1);
  return slash < 0 ? [path.slice(1), '', query] : [path.slice(1, slash), path.slice(slash), query];
}

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > BODY_BYTES_MAX) reject(new HttpRefusal(413, 'too_large'));
      else chunks.push(chunk);
    });
    request.on('end', () =>
      resolve(chunks.length === 1 ? chunks[0].toString() : Buffer.concat(chunks).toString()),
    );
    request.on('error', reject);
  });
}

function send(response: ServerResponse, reply: WireReply): void {
  if (reply === 'never') {
    const timer = setTimeout(() => response.destroy(), SILENCE_MS);
    response.on('close', () => clearTimeout(timer));
    return;
  }
  if (response.headersSent || response.destroyed) return;
  const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
  response.writeHead(reply.http_status, {
    'content-type': 'application/json',
    ...reply.headers,
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
