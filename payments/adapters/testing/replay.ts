/** A provider that answers as recorded, in the order asked for, and keeps what it was sent. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type RecordedAnswer = { http_status: number; body?: unknown; text?: string };

export type Recorded = {
  source: string[];
  request: {
    method: string;
    path: string;
    headers: string[];
    required: string[];
    body?: Record<string, unknown>;
    form?: string;
  };
  answers: Record<string, RecordedAnswer>;
};

export type RecordedEvents = { source: string[]; events: Record<string, Record<string, unknown>> };

export type SentRequest = {
  method: string;
  path: string;
  headers: Record<string, string | undefined>;
  text: string;
};

export type Replay = {
  url: string;
  sent: SentRequest[];
  /** What to answer next, one after another; then 500 without a body. */
  answers(...next: RecordedAnswer[]): void;
  close(): Promise<void>;
};

export function recorded<T = Recorded>(provider: string, name: string): T {
  const url = new URL(`../recorded/${provider}/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as T;
}

export async function startReplay(): Promise<Replay> {
  const sent: SentRequest[] = [];
  const queue: RecordedAnswer[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = '', url = '', headers } = request;
    const text = Buffer.concat(chunks).toString();
    sent.push({ method, path: url, headers: headers as Record<string, string>, text });
    const answer = queue.shift() ?? { http_status: 500 };
    const body = answer.text ?? (answer.body === undefined ? '' : JSON.stringify(answer.body));
    response.writeHead(answer.http_status, { 'content-length': Buffer.byteLength(body) });
    response.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent,
    answers(...next) {
      queue.length = 0;
      sent.length = 0;
      queue.push(...next);
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Every leaf's path and type: `purchase_units.0.amount.value` -> `string`. */
export function shapeOf(value: unknown, at = ''): Map<string, string> {
  const shape = new Map<string, string>();
  if (typeof value === 'object' && value !== null) {
    for (const [name, part] of Object.entries(value)) {
      for (const [path, type] of shapeOf(part, at === '' ? name : `${at}.${name}`)) shape.set(path, type);
    }
  } else shape.set(at, typeof value);
  return shape;
}

/** What is wrong with a request, by what is recorded of it; empty if nothing is. */
export function faultsOf(sent: SentRequest, { request }: Recorded): string[] {
  const faults: string[] = [];
  if (sent.method !== request.method) faults.push(`method ${sent.method}`);
  if (sent.path !== request.path) faults.push(`path ${sent.path}`);
  for (const header of request.headers) if (!sent.headers[header]) faults.push(`no header ${header}`);
  if (request.form !== undefined) {
    if (sent.text !== request.form) faults.push(`form ${sent.text}`);
    if (sent.headers['content-type'] !== 'application/x-www-form-urlencoded') faults.push('not a form');
    return faults;
  }
  const ours = shapeOf(sent.text === '' ? {} : JSON.parse(sent.text));
  const theirs = shapeOf(request.body ?? {});
  for (const [path, type] of ours) {
    if (theirs.get(path) !== type)
      faults.push(`${path} is ${type}, documented: ${theirs.get(path) ?? 'not'}`);
  }
  for (const path of request.required) if (!ours.has(path)) faults.push(`${path} is missing`);
  return faults;
}
