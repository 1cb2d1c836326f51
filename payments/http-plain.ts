/**
 * HTTP/1.1 without TLS over kept connections, one request at a time on each: as little of HTTP as a JSON API needs,
 * at a fifth of what node:http costs a request. For the sandbox and for proxies next door; what comes over the open
 * net goes through node:https.
 */
import { connect, type Socket } from 'node:net';

export type PlainAnswer =
  | { kind: 'answer'; http_status: number; text: string }
  /** `timeout`: sent, no whole answer in time. `connection`: it broke, was never made, or did not speak HTTP. */
  | { kind: 'none'; reason: 'timeout' | 'connection' };

export type PlainClient = {
  /** `head`: header lines, each ended by CRLF. */
  call(method: string, path: string, head: string, body: string | undefined): Promise<PlainAnswer>;
  close(): void;
};

export type PlainClientOptions = {
  hostname: string;
  port: number;
  /** From sending to the last byte of the answer. Waiting for a free connection counts, too. */
  timeout_ms: number;
  connections_max: number;
  body_bytes_max: number;
};

type Call = { text: string; finish: (answer: PlainAnswer) => void; over: boolean };
type Connection = {
  socket: Socket;
  call: Call | undefined;
  received: Buffer | undefined;
  idle_until_ms: number;
};

/** A server that does not say how long it keeps an idle connection may be about to close it. */
const KEEP_MS = 4_000;
const KEEP_MS_MAX = 30_000;
const BROKEN: PlainAnswer = { kind: 'none', reason: 'connection' };

export function createPlainClient(options: PlainClientOptions): PlainClient {
  const { hostname, port } = options;
  const host = `host: ${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}\r\n`;
  const idle: Connection[] = [];
  const waiting: Call[] = [];
  const open = new Set<Connection>();

  function dispatch(call: Call): void {
    const connection = takeIdle() ?? (open.size < options.connections_max ? dial() : undefined);
    if (connection) send(connection, call);
    else waiting.push(call);
  }

  /** The one used last: others grow old and are closed. */
  function takeIdle(): Connection | undefined {
    for (let found = idle.pop(); found; found = idle.pop()) {
      if (performance.now() < found.idle_until_ms) return found;
      found.socket.destroy();
    }
    return undefined;
  }

  function dial(): Connection {
    const socket = connect({ host: hostname, port, noDelay: true });
    const connection: Connection = { socket, call: undefined, received: undefined, idle_until_ms: 0 };
    open.add(connection);
    socket.on('data', (bytes: Buffer) => receive(connection, bytes));
    socket.on('error', () => {});
    socket.on('end', () => ended(connection));
    socket.on('close', () => {
      open.delete(connection);
      const at = idle.indexOf(connection);
      if (at >= 0) idle.splice(at, 1);
      connection.call?.finish(BROKEN);
      const next = waiting.shift();
      if (next) dispatch(next);
    });
    return connection;
  }

  function send(connection: Connection, call: Call): void {
    connection.call = call;
    connection.socket.ref();
    connection.socket.write(call.text);
  }

  function receive(connection: Connection, bytes: Buffer): void {
    // Nobody asked: whatever it is, it must not be taken for the next answer.
    if (!connection.call) return void connection.socket.destroy();
    const received = connection.received ? Buffer.concat([connection.received, bytes]) : bytes;
    const answer = parseAnswer(received, options.body_bytes_max, false);
    if (answer === 'broken') return void connection.socket.destroy();
    connection.received = answer === 'more' ? received : undefined;
    if (answer !== 'more') answered(connection, answer);
  }

  /** An answer without a length ends with the connection. */
  function ended(connection: Connection): void {
    const { received } = connection;
    const answer = received && parseAnswer(received, options.body_bytes_max, true);
    if (connection.call && answer && typeof answer === 'object') {
      connection.call.finish({ kind: 'answer', http_status: answer.http_status, text: answer.text });
      connection.call = undefined;
    }
    connection.socket.destroy();
  }

  function answered(connection: Connection, answer: ParsedAnswer): void {
    const { call, socket } = connection;
    connection.call = undefined;
    if (answer.keep_ms > 0) {
      const next = nextWaiting();
      if (next) send(connection, next);
      else {
        connection.idle_until_ms = performance.now() + answer.keep_ms;
        idle.push(connection);
        socket.unref();
      }
    } else {
      socket.destroy();
    }
    call?.finish({ kind: 'answer', http_status: answer.http_status, text: answer.text });
  }

  function nextWaiting(): Call | undefined {
    for (let next = waiting.shift(); next; next = waiting.shift()) if (!next.over) return next;
    return undefined;
  }

  return {
    call(method, path, head, body) {
      const length = body === undefined ? '' : `content-length: ${Buffer.byteLength(body)}\r\n`;
      const text = `${method} ${path} HTTP/1.1\r\n${host}${head}${length}\r\n${body ?? ''}`;
      return new Promise((resolve) => {
        const call: Call = {
          text,
          over: false,
          finish(answer) {
            if (call.over) return;
            call.over = true;
            clearTimeout(timer);
            resolve(answer);
          },
        };
        const timer = setTimeout(() => {
          call.finish({ kind: 'none', reason: 'timeout' });
          // A half-read answer must not be taken for the next one's.
          for (const connection of open) if (connection.call === call) connection.socket.destroy();
        }, options.timeout_ms);
        dispatch(call);
      });
    },
    close() {
      for (const { socket } of open) socket.destroy();
    },
  };
}

type ParsedAnswer = { http_status: number; text: string; keep_ms: number };

const HEAD_BYTES_MAX = 64 * 1024;

/** `more`: not whole yet. `ended`: nothing more comes. */
function parseAnswer(
  bytes: Buffer,
  body_bytes_max: number,
  ended: boolean,
): ParsedAnswer | 'more' | 'broken' {
  const head_end = bytes.indexOf('\r\n\r\n');
  if (head_end < 0) return bytes.length > HEAD_BYTES_MAX || ended ? 'broken' : 'more';
  const head = bytes.toString('latin1', 0, head_end);
  const status = /^HTTP\/1\.[01] (\d{3})(?: |\r|$)/.exec(head);
  if (!status) return 'broken';
  const http_status = Number(status[1]);
  const start = head_end + 4;
  // An interim answer: the real one follows.
  if (http_status < 200) return parseAnswer(bytes.subarray(start), body_bytes_max, ended);
  const keep_ms = keepMs(head);
  const length = headerOf(head, 'content-length');
  if (length !== undefined) {
    const size = /^\d+$/.test(length) ? Number(length) : Number.NaN;
    if (!(size <= body_bytes_max)) return 'broken';
    if (bytes.length < start + size) return ended ? 'broken' : 'more';
    // More than the answer is no answer of ours.
    if (bytes.length > start + size) return 'broken';
    return { http_status, text: bytes.toString('utf8', start, start + size), keep_ms };
  }
  if (headerOf(head, 'transfer-encoding') !== undefined) {
    const text = parseChunks(bytes, start, body_bytes_max);
    if (text === 'more') return ended ? 'broken' : 'more';
    return text === 'broken' ? 'broken' : { http_status, text: text.body, keep_ms };
  }
  if (http_status === 204 || http_status === 304) return { http_status, text: '', keep_ms };
  if (bytes.length - start > body_bytes_max) return 'broken';
  return ended ? { http_status, text: bytes.toString('utf8', start, bytes.length), keep_ms: 0 } : 'more';
}

function parseChunks(bytes: Buffer, start: number, bytes_max: number): { body: string } | 'more' | 'broken' {
  const parts: Buffer[] = [];
  let size = 0;
  for (let at = start; ; ) {
    const line_end = bytes.indexOf('\r\n', at);
    if (line_end < 0) return 'more';
    const length = Number.parseInt(bytes.toString('latin1', at, line_end), 16);
    if (!(length >= 0) || size + length > bytes_max) return 'broken';
    at = line_end + 2;
    if (length === 0) {
      // Trailers are read over, to the empty line.
      if (bytes.toString('latin1', at, at + 2) === '\r\n') return { body: Buffer.concat(parts).toString() };
      return bytes.indexOf('\r\n\r\n', at) < 0 ? 'more' : { body: Buffer.concat(parts).toString() };
    }
    if (bytes.length < at + length + 2) return 'more';
    parts.push(bytes.subarray(at, at + length));
    size += length;
    at += length + 2;
  }
}

/** How long the connection may be used again; 0: not at all. */
function keepMs(head: string): number {
  const connection = headerOf(head, 'connection')?.toLowerCase();
  if (connection === 'close' || (connection !== 'keep-alive' && head.startsWith('HTTP/1.0'))) return 0;
  const seconds = /timeout=(\d+)/.exec(headerOf(head, 'keep-alive') ?? '')?.[1];
  if (seconds === undefined) return KEEP_MS;
  return Math.min(Math.max(Number(seconds) * 1_000 - 1_000, 0), KEEP_MS_MAX);
}

const HEADERS = {
  connection: /\r\nconnection:[ \t]*([^\r]*)/i,
  'content-length': /\r\ncontent-length:[ \t]*([^\r]*?)[ \t]*(?:\r|$)/i,
  'keep-alive': /\r\nkeep-alive:[ \t]*([^\r]*)/i,
  'transfer-encoding': /\r\ntransfer-encoding:[ \t]*([^\r]*)/i,
} as const;

function headerOf(head: string, name: keyof typeof HEADERS): string | undefined {
  return HEADERS[name].exec(head)?.[1].trim();
}
