/**
 * The sandbox over HTTP/1.1. Its own wire format is at the root (wires/native.ts), each provider's at its mount
 * (`/stripe/v1/payment_intents`), the levers at /admin (admin.ts), the pages that buyers see at /pay (page.ts).
 */

import uWS, { type HttpRequest, type HttpResponse } from 'uWebSockets.js';
import { hash } from 'node:crypto';
import { createAdmin } from './admin.ts';
import { HttpRefusal } from './http-refusal.ts';
import { createPages } from './page.ts';
import type { Sandbox } from './service.ts';
import { OWN, type Wire, type WireReply, type WireRequest } from './wires/wire.ts';

const BODY_BYTES_MAX = 64 * 1024;
/** Callers that wait for an answer that never comes are hung up on after this. */
const SILENCE_MS = 60_000;
const NO_QUERY = new URLSearchParams();

export type SandboxServer = {
  /** Takes no more connections, and hangs up on those that are there. */
  close(): void;
};

/** Resolves when it listens. */
export function startSandboxServer(
  sandbox: Sandbox,
  options: { secret: string; port: number; host: string },
): Promise<SandboxServer> {
  const own = sandbox.wires.get(OWN) as Wire;
  const admin = createAdmin(sandbox, options.secret);
  const page = createPages(sandbox);

  function handle(res: HttpResponse, req: HttpRequest): void {
    const url = req.getUrl();
    const query = req.getQuery() ?? '';
    const method = req.getCaseSensitiveMethod();
    const headers: Record<string, string> = {};
    req.forEach((name, value) => {
      headers[name] = value;
    });
    const caller = { gone: false };
    res.onAborted(() => {
      caller.gone = true;
    });
    const [mount, rest] = split(url);
    const wire = mount === 'v1' ? own : (sandbox.wires.get(mount) ?? own);
    const asked_url = query === '' ? url : `${url}?${query}`;
    const answer = (text: string) => {
      const asked: WireRequest = {
        ...{ method, headers, text },
        path: wire === own ? `/${mount}${rest}` : rest,
        query: query === '' ? NO_QUERY : new URLSearchParams(query),
        fingerprint: () => hash('sha1', `${method} ${asked_url}\n${text}`, 'base64').slice(0, 22),
      };
      void serve(wire, mount, rest, asked)
        .catch((error: unknown) => {
          if (error instanceof HttpRefusal) return wire.failure(error.http_status, error.code);
          console.error(error);
          return wire.failure(500, 'bug');
        })
        .then((reply) => send(res, caller, reply));
    };
    if (method === 'GET' || method === 'HEAD') answer('');
    else
      readBody(res, (text) => {
        if (text === undefined) send(res, caller, wire.failure(413, 'too_large'));
        else answer(text);
      });
  }

  async function serve(wire: Wire, mount: string, rest: string, asked: WireRequest): Promise<WireReply> {
    if (mount === 'livez') return { http_status: 200, body: { live: true } };
    if (mount === 'admin') return admin(rest.slice(1), asked);
    if (mount === 'pay') return page(rest.slice(1), asked);
    return wire.handle(asked);
  }

  const app = uWS.App();
  app.any('/*', handle);
  return new Promise((resolve, reject) => {
    app.listen(options.host, options.port, (listening) => {
      if (listening) resolve({ close: () => app.close() });
      else
        reject(
          new Error(`SANDBOX_PORT ${options.port} on ${options.host} cannot be listened on: is it in use?`),
        );
    });
  });
}

/** `/stripe/v1/refunds` -> `stripe`, `/v1/refunds`. */
function split(path: string): [mount: string, rest: string] {
  const slash = path.indexOf('/', 1);
  return slash < 0 ? [path.slice(1), ''] : [path.slice(1, slash), path.slice(slash)];
}

/** `done` gets undefined if it is too large. */
function readBody(res: HttpResponse, done: (text: string | undefined) => void): void {
  let chunks: Buffer | undefined;
  let size = 0;
  res.onData((chunk, is_last) => {
    if (size > BODY_BYTES_MAX) return;
    size += chunk.byteLength;
    if (size > BODY_BYTES_MAX) return done(undefined);
    if (is_last && !chunks) return done(Buffer.from(chunk).toString());
    // The chunk is gone after this call: it is copied.
    chunks = Buffer.concat(chunks ? [chunks, new Uint8Array(chunk)] : [new Uint8Array(chunk)]);
    if (is_last) done(chunks.toString());
  });
}

function send(res: HttpResponse, caller: { gone: boolean }, reply: WireReply): void {
  if (caller.gone) return;
  if (reply === 'never') {
    setTimeout(() => caller.gone || res.close(), SILENCE_MS).unref();
    return;
  }
  const { http_status, body, headers } = reply;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  res.cork(() => {
    if (http_status !== 200) res.writeStatus(String(http_status));
    if (!headers?.['content-type']) res.writeHeader('content-type', 'application/json');
    for (const [name, value] of Object.entries(headers ?? {})) res.writeHeader(name, value);
    res.end(text);
  });
}
