/**
 * The HTTP server: the only file that knows uWebSockets.js. It reads the head once, the body up to its cap,
 * and sends each reply exactly once or, when the client has gone, never.
 */

import uWS, { type HttpRequest, type HttpResponse, type WebSocket } from 'uWebSockets.js';
import { randomBytes } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { BODY_BYTES_MAX, STILL_MS_MAX } from '../domain/limits.ts';
import type { Admitted, Endpoint, LiveEndpoint, Method } from './endpoint.ts';
import { createPatience } from './load/patience.ts';
import { isRefusal, PROBLEM_TYPE, problemBody, type Refusal, type Reply, refuse, statusOf } from './reply.ts';
import { createRequestIds, emptyHead, framingFault, type Head, takeHeader } from './request.ts';

export type HttpOptions = {
  host: string;
  /** 0: any that is free. */
  port: number;
  endpoints: readonly Endpoint[];
  live: readonly LiveEndpoint[];
  /** Answers GET and HEAD of paths that no endpoint has. */
  fallback(head: Head): Reply | Promise<Reply>;
  /** Read the address of each connection? It costs a microsecond. */
  peer_wanted: boolean;
  /** Who may come in. Absent: anybody. */
  guard?: HttpGuard;
  /** Default: STILL_MS_MAX. */
  still_ms?: number;
  /** The answer to what a handler threw. It must tell nothing of the inside. */
  refusalFor(error: unknown, head: Head): Refusal;
};

export type HttpGuard = {
  /** A connection has come. False: close it, unanswered. */
  opened(peer: string): boolean;
  closed(): void;
  /** A head has been read. A refusal ends the request and its connection; else `left` follows when nothing of it is left. */
  entered(head: Head): Refusal | undefined;
  left(head: Head): void;
};

export type HttpServer = {
  port: number;
  publish(topic: string, message: string): void;
  /** Stops listening, finishes what is under way for at most `patience_ms`, then closes every connection. */
  close(patience_ms: number): Promise<void>;
};

/** One request and what has become of it. */
type Exchange = {
  res: HttpResponse;
  head: Head;
  endpoint: Endpoint | undefined;
  started_ms: number;
  /** `settled`: answered, or there is nobody to answer and nothing left to do. */
  state: 'reading' | 'working' | 'settled';
  gone: boolean;
  /** The connection ends with the answer: what follows on it can't be told from this request's own bytes. */
  close_after: boolean;
  /** It is no longer within the reading of its own bytes. */
  parted: boolean;
  /** The guard has let it in, and wants to know when it leaves. */
  guarded: boolean;
};

type Socket = { topic: string };

/** An answer longer than this is sent as the client takes it. */
const WHOLE_BYTES_MAX = 8 * 1024;
/** A body this long is not read to its end: the connection is closed. */
const DISCARD_BYTES_MAX = 1024 * 1024;
const IDLE_WEBSOCKET_SECONDS = 60;
const DRAIN_POLL_MS = 10;

/** Rejects with a line for the operator if the port can't be had. */
export function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const requestId = createRequestIds(randomBytes(6).toString('hex'));
  const app = uWS.App();
  const sockets = new Set<WebSocket<Socket>>();
  const { guard } = options;
  let under_way = 0;
  let draining = false;
  /** With those whose body or whose taking of an answer is slow. */
  const patience = createPatience<Exchange>({
    patience_ms: options.still_ms ?? STILL_MS_MAX,
    end: ({ res }) => void res.close(),
  });
  /** The last that began to read a body. Whether it was there at once is seen when the next one begins. */
  let reading: Exchange | undefined;

  /** `params`: how many the path has, or -1 where no endpoint has matched. `method`: absent where it must be asked for. */
  function readHead(res: HttpResponse, req: HttpRequest, params: number, method?: Method, all = false): Head {
    const head = emptyHead(method ?? req.getCaseSensitiveMethod().toUpperCase());
    if (params < 0) head.path = req.getUrl();
    else if (params > 0) head.params = readParams(req, params);
    head.query = req.getQuery() ?? '';
    if (options.peer_wanted) head.peer = Buffer.from(res.getRemoteAddressAsText()).toString();
    if (all) head.all = Object.create(null);
    req.forEach((name, value) => {
      takeHeader(head, name, value);
    });
    head.request_id = requestId(head.offered_id);
    return head;
  }

  function begin(res: HttpResponse, head: Head, endpoint?: Endpoint): Exchange {
    const exchange: Exchange = {
      res,
      head,
      endpoint,
      started_ms: performance.now(),
      state: 'working',
      gone: false,
      // Ends of chunks are read leniently, and a proxy before us may see them elsewhere.
      close_after: head.transfer_encoding !== '',
      parted: false,
      guarded: false,
    };
    under_way += 1;
    res.onAborted(() => {
      exchange.gone = true;
      patience.done(exchange);
      // Its body will never be whole.
      if (exchange.state === 'reading') settle(exchange);
    });
    return exchange;
  }

  /** True: it has been refused. */
  function turnedAway(exchange: Exchange): boolean {
    const refusal = guard?.entered(exchange.head);
    if (refusal) {
      exchange.close_after = true;
      finish(exchange, refusal);
      return true;
    }
    exchange.guarded = guard !== undefined;
    const detail = framingFault(exchange.head);
    if (!detail) return false;
    exchange.close_after = true;
    finish(exchange, refuse('invalid_request', { detail, members: { errors: [] } }));
    return true;
  }

  function settle(exchange: Exchange): void {
    exchange.state = 'settled';
    under_way -= 1;
    if (exchange.guarded) guard?.left(exchange.head);
  }

  /** Sends the reply now, or when it is there. */
  function finish(exchange: Exchange, reply: Reply | Promise<Reply>): void {
    if (reply instanceof Promise) {
      reply.then(
        (value) => finish(exchange, value),
        (error) => fail(exchange, error),
      );
      return;
    }
    if (exchange.close_after && !exchange.parted) {
      // Answered while its bytes are still being read, the server would go on with those behind it, as another
      // request, and forget to close. One that waits for its answer lets none pass.
      exchange.parted = true;
      setImmediate(() => finish(exchange, reply));
      return;
    }
    if (exchange.state === 'settled') return;
    settle(exchange);
    exchange.endpoint?.observe(statusOf(reply), (performance.now() - exchange.started_ms) / 1000);
    if (!exchange.gone) exchange.res.cork(() => write(exchange, reply));
  }

  function fail(exchange: Exchange, error: unknown): void {
    finish(exchange, options.refusalFor(error, exchange.head));
  }

  function write(exchange: Exchange, reply: Reply): void {
    const { res, head, close_after } = exchange;
    const refused = isRefusal(reply);
    const status = statusOf(reply);
    const body = refused ? problemBody(reply, head.request_id) : reply.body;
    const content_type = refused ? PROBLEM_TYPE : reply.content_type;
    res.writeStatus(statusLine(status));
    res.writeHeader('Request-Id', head.request_id);
    if (content_type !== '') res.writeHeader('Content-Type', content_type);
    const { headers } = reply;
    if (headers) for (let i = 0; i < headers.length; i += 2) res.writeHeader(headers[i], headers[i + 1]);
    const close = close_after || draining;
    if (status === 204 || status === 304) endBodiless(res, undefined, close);
    else if (head.method === 'HEAD') endBodiless(res, Buffer.byteLength(body), close);
    else if (close || body.length <= WHOLE_BYTES_MAX) res.end(body, close);
    else sendAsTaken(exchange, typeof body === 'string' ? Buffer.from(body) : body);
  }

  /**
   * Only as fast as the client takes it. Handed over whole, an answer is copied and kept for whoever does not read:
   * once for each request that was sent on before, hundreds of them in one packet. Until all of it is out the request
   * counts as under way for the library, which then takes no other on this connection.
   */
  function sendAsTaken(exchange: Exchange, body: Buffer): void {
    const { res } = exchange;
    const [, taken] = res.tryEnd(body, body.length);
    if (taken) return;
    patience.wait(exchange);
    res.onWritable((offset) => {
      const [ok, done] = res.tryEnd(body.subarray(offset), body.length);
      if (done) patience.done(exchange);
      else patience.wait(exchange);
      return ok;
    });
  }

  /**
   * `length`: what a GET would have got. The library takes a length of its own for bytes still to come, and would drop
   * the next request on this connection; and undefined for a number.
   */
  function endBodiless(res: HttpResponse, length: number | undefined, close: boolean): void {
    if (close) {
      res.endWithoutBody(0, true);
      return;
    }
    if (length !== undefined) res.writeHeader('Content-Length', String(length));
    res.endWithoutBody();
  }

  function serve(endpoint: Endpoint, params: number) {
    // Endpoints of GET answer HEAD as well.
    const method = endpoint.method === 'GET' ? undefined : endpoint.method;
    return (res: HttpResponse, req: HttpRequest) => {
      const exchange = begin(res, readHead(res, req, params, method, endpoint.all_headers), endpoint);
      if (turnedAway(exchange)) return;
      try {
        if (hasBody(endpoint.method)) receive(exchange, endpoint);
        else answer(exchange, endpoint, endpoint.admit(exchange.head));
      } catch (error) {
        fail(exchange, error);
      }
    };
  }

  function answer(
    exchange: Exchange,
    endpoint: Endpoint,
    admitted: Admitted | Promise<Admitted>,
    body?: Buffer,
  ): void {
    const go = (known: Admitted) =>
      'refusal' in known ? known.refusal : endpoint.answer(exchange.head, known.caller, body);
    finish(exchange, admitted instanceof Promise ? admitted.then(go) : go(admitted));
  }

  function receive(exchange: Exchange, endpoint: Endpoint): void {
    const admitted = endpoint.admit(exchange.head);
    if ('refusal' in admitted) finish(exchange, admitted.refusal);
    else readBody(exchange, endpoint, admitted);
  }

  /** Keeps at most BODY_BYTES_MAX. What is over is read and dropped, so that the client gets to see its 413. */
  function readBody(exchange: Exchange, endpoint: Endpoint, admitted: Admitted | Promise<Admitted>): void {
    // Looked at when the body is there; until then its rejection must not count as unhandled.
    if (admitted instanceof Promise) admitted.catch(() => {});
    const chunks: Buffer[] = [];
    let size = 0;
    exchange.state = 'reading';
    if (reading?.state === 'reading') patience.wait(reading);
    reading = exchange;
    exchange.res.onData((chunk, is_last) => {
      if (exchange.state !== 'reading') return;
      size += chunk.byteLength;
      // The chunk is gone after this call: it is copied.
      if (size <= BODY_BYTES_MAX) chunks.push(Buffer.concat([new Uint8Array(chunk)]));
      const too_long = size > DISCARD_BYTES_MAX;
      if (too_long) exchange.close_after = true;
      if (!is_last && !too_long) return;
      exchange.state = 'working';
      if (patience.count() > 0) patience.done(exchange);
      if (size > BODY_BYTES_MAX) {
        finish(exchange, refuse('payload_too_large'));
        return;
      }
      try {
        answer(exchange, endpoint, admitted, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
      } catch (error) {
        fail(exchange, error);
      }
    });
  }

  /** What no endpoint of a path takes: OPTIONS, and methods it does not have. */
  function serveOther(methods: readonly string[], params: number) {
    const allowed = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
    const headers = ['Allow', [...new Set(allowed), 'OPTIONS'].join(', ')];
    return (res: HttpResponse, req: HttpRequest) => {
      const exchange = begin(res, readHead(res, req, params));
      if (turnedAway(exchange)) return;
      const asked = exchange.head.method === 'OPTIONS';
      finish(
        exchange,
        asked
          ? { status: 204, body: '', content_type: '', headers }
          : refuse('method_not_allowed', { headers }),
      );
    };
  }

  function serveFallback(res: HttpResponse, req: HttpRequest): void {
    const exchange = begin(res, readHead(res, req, -1));
    if (turnedAway(exchange)) return;
    try {
      const { method, path } = exchange.head;
      // Some pages of providers lead their buyers back to ours with a form.
      const asked = method === 'GET' || method === 'HEAD' || (method === 'POST' && path === '/');
      finish(exchange, asked ? options.fallback(exchange.head) : refuse('not_found'));
    } catch (error) {
      fail(exchange, error);
    }
  }

  function serveLive(endpoint: LiveEndpoint): void {
    const params = parameterCount(endpoint.path);
    app.ws<Socket>(pattern(endpoint.path), {
      maxPayloadLength: 1024,
      maxBackpressure: 64 * 1024,
      // A socket that missed a change would show a wrong stock for ever: it is closed, and comes again.
      closeOnBackpressureLimit: 1,
      idleTimeout: IDLE_WEBSOCKET_SECONDS,
      sendPingsAutomatically: true,
      upgrade(res, req, context) {
        const key = req.getHeader('sec-websocket-key');
        const protocol = req.getHeader('sec-websocket-protocol');
        const extensions = req.getHeader('sec-websocket-extensions');
        const exchange = begin(res, readHead(res, req, params));
        if (turnedAway(exchange)) return;
        endpoint.admit(exchange.head).then(
          (admitted) => {
            if ('refusal' in admitted) return finish(exchange, admitted.refusal);
            settle(exchange);
            if (exchange.gone) return;
            res.cork(() =>
              res.upgrade<Socket>({ topic: admitted.topic }, key, protocol, extensions, context),
            );
          },
          (error) => fail(exchange, error),
        );
      },
      open(ws) {
        const { topic } = ws.getUserData();
        sockets.add(ws);
        ws.subscribe(topic);
        const greeting = endpoint.joined(topic);
        if (greeting !== undefined) ws.send(greeting);
        if (draining) ws.end(1001, 'going away');
      },
      close(ws) {
        sockets.delete(ws);
        // Of a connection that has become a WebSocket the filter below is not told when it goes.
        guard?.closed();
        endpoint.left(ws.getUserData().topic);
      },
    });
  }

  async function close(listening: uWS.us_listen_socket, patience_ms: number): Promise<void> {
    draining = true;
    uWS.us_listen_socket_close(listening);
    for (const ws of sockets) ws.end(1001, 'going away');
    const until_ms = performance.now() + patience_ms;
    while (under_way > 0 && performance.now() < until_ms) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
    patience.stop();
    app.close();
  }

  if (guard) {
    // biome-ignore lint/suspicious/useIterableCallbackReturn: it looks at connections, and filters no array
    app.filter((res, count) => {
      if (Number(count) < 0) guard.closed();
      else if (!guard.opened(Buffer.from(res.getRemoteAddressAsText()).toString())) res.close();
    });
  }
  // First: what is no upgrade passes on to the endpoint of the same path.
  for (const endpoint of options.live) serveLive(endpoint);
  const methods = new Map<string, string[]>();
  for (const endpoint of options.endpoints) {
    const { method, path } = endpoint;
    const handler = serve(endpoint, parameterCount(path));
    if (method === 'GET') app.get(pattern(path), handler).head(pattern(path), handler);
    else if (method === 'POST') app.post(pattern(path), handler);
    else if (method === 'PATCH') app.patch(pattern(path), handler);
    else app.del(pattern(path), handler);
    methods.set(path, [...(methods.get(path) ?? []), method]);
  }
  for (const [path, allowed] of methods) app.any(pattern(path), serveOther(allowed, parameterCount(path)));
  app.any('/*', serveFallback);

  return new Promise((resolve, reject) => {
    app.listen(options.host, options.port, (listening) => {
      if (!listening) {
        reject(new Error(`PORT ${options.port} on ${options.host} cannot be listened on: is it in use?`));
        return;
      }
      resolve({
        port: uWS.us_socket_local_port(listening as unknown as uWS.us_socket),
        publish: (topic, message) => void app.publish(topic, message),
        close: (patience_ms) => close(listening, patience_ms),
      });
    });
  });
}

const hasBody = (method: Method): boolean => method === 'POST' || method === 'PATCH';

function readParams(req: HttpRequest, count: number): string[] {
  const params: string[] = [];
  for (let i = 0; i < count; i++) params.push(decoded(req.getParameter(i) ?? ''));
  return params;
}

function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const pattern = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1');
const parameterCount = (path: string): number => path.split('{').length - 1;

const statusLines = new Map<number, string>();

function statusLine(status: number): string {
  let line = statusLines.get(status);
  if (line === undefined) {
    line = `${status} ${STATUS_CODES[status] ?? ''}`.trim();
    statusLines.set(status, line);
  }
  return line;
}
