/**
 * JSON over HTTP with kept connections and a timer of our own. An answer that did not come is a value: whoever calls
 * a payment provider must decide what it means.
 */
import type { RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { createPlainClient } from './http-plain.ts';

export type JsonAnswer =
  | { kind: 'answer'; http_status: number; body: unknown }
  /** `timeout`: sent, no whole answer in time. `connection`: it broke, or was never made. */
  | { kind: 'none'; reason: 'timeout' | 'connection' };

export type JsonClient = {
  call(
    method: 'GET' | 'POST',
    path: string,
    options?: {
      headers?: Readonly<Record<string, string>>;
      /** Sent as JSON; a URLSearchParams as a form. */
      body?: object;
    },
  ): Promise<JsonAnswer>;
  close(): void;
};

export type JsonClientOptions = {
  /** Origin, with a path before all paths if it has one. */
  base_url: string;
  headers: Readonly<Record<string, string>>;
  /** From sending to the last byte of the answer. */
  timeout_ms: number;
  connections_max: number;
};

const BODY_BYTES_MAX = 1024 * 1024;
const FORM = 'application/x-www-form-urlencoded';

export function createJsonClient(options: JsonClientOptions): JsonClient {
  const base = new URL(options.base_url);
  return base.protocol === 'https:' ? secureClient(base, options) : plainClient(base, options);
}

function plainClient(base: URL, options: JsonClientOptions): JsonClient {
  const client = createPlainClient({
    // URL keeps the brackets of an IPv6 address.
    hostname: base.hostname.replace(/^\[|\]$/g, ''),
    port: Number(base.port || 80),
    timeout_ms: options.timeout_ms,
    connections_max: options.connections_max,
    body_bytes_max: BODY_BYTES_MAX,
  });
  const prefix = base.pathname.replace(/\/$/, '');
  const common = headerLines(options.headers);
  return {
    async call(method, path, { headers, body } = {}) {
      const form = body instanceof URLSearchParams;
      const text = body === undefined ? undefined : form ? body.toString() : JSON.stringify(body);
      const type = text === undefined ? '' : `content-type: ${form ? FORM : 'application/json'}\r\n`;
      const head = common + (headers ? headerLines(headers) : '') + type;
      const answer = await client.call(method, prefix + path, head, text);
      if (answer.kind === 'none') return answer;
      return { kind: 'answer', http_status: answer.http_status, body: parse(answer.text) };
    },
    close: () => client.close(),
  };
}

function headerLines(headers: Readonly<Record<string, string>>): string {
  let lines = '';
  for (const [name, value] of Object.entries(headers)) {
    if (/[\r\n]/.test(value)) throw new Error(`header ${name} has a line break`);
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

function secureClient(base: URL, options: JsonClientOptions): JsonClient {
  const agent = new HttpsAgent({ keepAlive: true, maxSockets: options.connections_max, scheduling: 'lifo' });
  const prefix = base.pathname.replace(/\/$/, '');

  return {
    call(method, path, { headers, body } = {}) {
      const form = body instanceof URLSearchParams;
      const text = body === undefined ? undefined : form ? body.toString() : JSON.stringify(body);
      const request_options: RequestOptions = {
        method,
        agent,
        hostname: base.hostname,
        port: base.port,
        path: prefix + path,
        headers: {
          ...options.headers,
          ...headers,
          ...(text === undefined
            ? {}
            : {
                'content-type': form ? FORM : 'application/json',
                'content-length': Buffer.byteLength(text),
              }),
        },
      };
      return new Promise<JsonAnswer>((resolve) => {
        const timer = setTimeout(() => finish({ kind: 'none', reason: 'timeout' }), options.timeout_ms);
        const request = httpsRequest(request_options);
        let over = false;
        const finish = (answer: JsonAnswer): void => {
          if (over) return;
          over = true;
          clearTimeout(timer);
          // A half-read answer must not be taken for the next one's.
          if (answer.kind === 'none') request.destroy();
          resolve(answer);
        };
        request.on('error', () => finish({ kind: 'none', reason: 'connection' }));
        request.on('response', (response) => {
          const chunks: Buffer[] = [];
          let size = 0;
          response.on('data', (chunk: Buffer) => {
            size += chunk.length;
            if (size > BODY_BYTES_MAX) finish({ kind: 'none', reason: 'connection' });
            else chunks.push(chunk);
          });
          response.on('error', () => finish({ kind: 'none', reason: 'connection' }));
          response.on('aborted', () => finish({ kind: 'none', reason: 'connection' }));
          response.on('end', () => {
            const raw = (chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)).toString();
            finish({ kind: 'answer', http_status: response.statusCode ?? 0, body: parse(raw) });
          });
        });
        request.end(text);
      });
    },
    close: () => agent.destroy(),
  };
}

/** Undefined for what is no JSON: a proxy's error page, say. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
