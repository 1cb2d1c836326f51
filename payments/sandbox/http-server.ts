/**
 * HTTP/1.1 on node:net: requests with a length, one after another on each connection, kept open. As little of HTTP as the
 * sandbox's callers need. A load test asks it for thousands of answers a second on the cores that it shares with everybody
 * else, and node:http would cost more than all the work behind it.
 */

import { STATUS_CODES } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';

export type HttpRequest = {
  method: string;
  /** As it stands in the request line. */
  url: string;
  /** Names in lower case; one that comes twice is joined with a comma. */
  headers: Record<string, string>;
  text: string;
};

export type HttpReply = { http_status: number; headers: Readonly<Record<string, string>>; text: string };

export type HttpServer = {
  /** Takes no more connections, and hangs up on those that are there. */
  close(): void;
};

export type HttpServerOptions = {
  port: number;
  host: string;
  body_bytes_max: number;
  /** Connections on which nothing happens, also because an answer never comes, are hung up on after this. */
  idle_ms: number;
  /** `never`: there is no answer. */
  handle: (request: HttpRequest) => Promise<HttpReply | 'never'>;
  /** A request that is none, or too large. */
  refuse: (http_status: number) => HttpReply;
};

/** `ended`: its caller sends no more, and still reads. */
type Connection = { socket: Socket; received: Buffer | undefined; busy: boolean; ended: boolean };
type Head = { request: HttpRequest; length: number; keep: boolean };

const HEAD_BYTES_MAX = 16 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');

/** Resolves when it listens; rejects if it can't. */
export function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const open = new Set<Socket>();
  const keep_alive = `keep-alive: timeout=${Math.floor(options.idle_ms / 1_000)}\r\n`;

  function connected(socket: Socket): void {
    const connection: Connection = { socket, received: undefined, busy: false, ended: false };
    open.add(socket);
    socket.setTimeout(options.idle_ms, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    socket.on('end', () => {
      connection.ended = true;
      if (!connection.busy) socket.end();
    });
    socket.on('data', (bytes: Buffer) => {
      connection.received = connection.received ? Buffer.concat([connection.received, bytes]) : bytes;
      if (!connection.busy) next(connection);
      // Who sends on and on while being served wants no answers.
      else if (connection.received.length > 4 * (HEAD_BYTES_MAX + options.body_bytes_max)) socket.destroy();
    });
  }

  function next(connection: Connection): void {
    const { received } = connection;
    if (!received) return;
    const end = received.indexOf(HEAD_END);
    if (end < 0) {
      if (received.length > HEAD_BYTES_MAX) hangUp(connection, 431);
      return;
    }
    const head = parseHead(received.toString('latin1', 0, end));
    const refusal = typeof head === 'number' ? head : head.length > options.body_bytes_max ? 413 : undefined;
    if (typeof head === 'number' || refusal) {
      hangUp(connection, refusal ?? 400);
      return;
    }
    const start = end + HEAD_END.length;
    const whole = start + head.length;
    if (received.length < whole) return;
    head.request.text = head.length === 0 ? '' : received.toString('utf8', start, whole);
    connection.received = received.length > whole ? received.subarray(whole) : undefined;
    connection.busy = true;
    const answer = options.handle(head.request).then((reply) => {
      if (reply === 'never') return;
      send(connection, reply, head);
      connection.busy = false;
      if (connection.received) next(connection);
      if (connection.ended && !connection.busy) connection.socket.end();
    });
    answer.catch(() => connection.socket.destroy());
  }

  function send(
    { socket }: Connection,
    reply: HttpReply,
    { request, keep }: Pick<Head, 'request' | 'keep'>,
  ): void {
    if (socket.destroyed) return;
    const { http_status, headers, text } = reply;
    const size = Buffer.byteLength(text);
    let head = `HTTP/1.1 ${http_status} ${STATUS_CODES[http_status] ?? ''}\r\ncontent-length: ${size}\r\n`;
    head += keep ? keep_alive : 'connection: close\r\n';
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
    const body = request.method === 'HEAD' ? '' : text;
    // A string without letters beyond ASCII goes out without being encoded.
    const whole = `${head}\r\n${body}`;
    if (size === text.length) socket.write(whole, 'latin1');
    else socket.write(whole);
    if (!keep) socket.end();
  }

  function hangUp(connection: Connection, http_status: number): void {
    connection.busy = true;
    connection.received = undefined;
    const request = { method: '', url: '', headers: {}, text: '' };
    send(connection, options.refuse(http_status), { request, keep: false });
  }

  const server: Server = createServer({ noDelay: true, allowHalfOpen: true }, connected);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () =>
      resolve({
        close() {
          server.close();
          for (const socket of open) socket.destroy();
        },
      }),
    );
  });
}

/** The status to refuse it with, if it can't be taken. */
function parseHead(text: string): Head | number {
  const line_end = text.indexOf('\r\n');
  const line = line_end < 0 ? text : text.slice(0, line_end);
  const [method, url, version, ...more] = line.split(' ');
  if (!method || !url?.startsWith('/') || more.length > 0 || !version?.startsWith('HTTP/1.')) return 400;
  const headers: Record<string, string> = {};
  for (let at = line_end < 0 ? text.length : line_end + 2; at < text.length; ) {
    const end = text.indexOf('\r\n', at);
    const stop = end < 0 ? text.length : end;
    const colon = text.indexOf(':', at);
    if (colon <= at || colon >= stop) return 400;
    const name = text.slice(at, colon).toLowerCase();
    const value = text.slice(colon + 1, stop).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
    at = stop + 2;
  }
  if (headers['transfer-encoding'] !== undefined) return 411;
  const size = headers['content-length'];
  if (size !== undefined && !/^\d{1,9}$/.test(size)) return 400;
  const connection = headers.connection?.toLowerCase();
  const keep = version === 'HTTP/1.0' ? connection === 'keep-alive' : connection !== 'close';
  return { request: { method, url, headers, text: '' }, length: size === undefined ? 0 : Number(size), keep };
}
