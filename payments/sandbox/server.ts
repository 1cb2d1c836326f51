/**
 * The sandbox over HTTP/1.1 with JSON. Bearer secret on all but /livez.
 *
 *     POST /v1/payments                          authorize; Idempotency-Key
 *     POST /v1/payments/{id}/{capture,void,refund}   Idempotency-Key
 *     POST /v1/references/{reference}/void       void by our own name, also one not known yet; Idempotency-Key
 *     GET  /v1/references/{reference}            look up
 *     GET  /admin/payments?limit=                newest first
 *     GET  /admin/money[?order_id=]              what the journal says about each order's money
 *     POST /admin/faults {faults, seed?}         replaces all; GET lists
 *     POST /admin/settings {events?, late_ms?, slow_ms?}
 *     POST /admin/release {reference?}           late payments succeed now
 *     POST /admin/forget-keys                    as a provider does after a day
 *
 * 200 done, 402 declined, 409 refused as it stands, each with the payment; errors are {error: {code}}.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { FAULT_KINDS, FAULT_TARGETS, type Fault } from './faults.ts';
import type { AuthorizeBody, Reply, Sandbox, StepName } from './service.ts';
import { testimony } from './witness.ts';

const BODY_BYTES_MAX = 64 * 1024;
/** Callers that wait for an answer that never comes are hung up on after this. */
const SILENCE_MS = 60_000;
const NAME = /^[A-Za-z0-9_-]{1,128}$/;

class Refusal extends Error {
  readonly http_status: number;
  readonly code: string;
  constructor(http_status: number, code: string) {
    super(code);
    this.http_status = http_status;
    this.code = code;
  }
}

export function createSandboxServer(sandbox: Sandbox, secret: string): Server {
  const bearer = sha256(`Bearer ${secret}`);
  const server = createServer({ keepAliveTimeout: 65_000, requestTimeout: 30_000 }, (request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (error instanceof Refusal)
        send(response, { http_status: error.http_status, body: { error: { code: error.code } } });
      else send(response, { http_status: 500, body: { error: { code: 'bug', message: String(error) } } });
    });
  });
  return server;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '/';
    if (url === '/livez') return send(response, { http_status: 200, body: { live: true } });
    if (!timingSafeEqual(sha256(request.headers.authorization ?? ''), bearer))
      throw new Refusal(401, 'unauthorized');
    const body = request.method === 'POST' ? await readBody(request) : '';
    const [path, query = ''] = url.split('?', 2);
    const parts = path.split('/').slice(1);
    const reply =
      parts[0] === 'admin'
        ? await admin(sandbox, request.method ?? '', parts[1], new URLSearchParams(query), body)
        : await api(sandbox, request, parts, body);
    if (reply !== 'never') return send(response, reply);
    const timer = setTimeout(() => response.destroy(), SILENCE_MS);
    response.on('close', () => clearTimeout(timer));
  }
}

function api(sandbox: Sandbox, request: IncomingMessage, parts: string[], text: string): Promise<Reply> {
  const [version, kind, name, step] = parts;
  if (version !== 'v1') throw new Refusal(404, 'not_found');
  if (name !== undefined && !NAME.test(name)) throw new Refusal(400, 'invalid_name');
  if (request.method === 'GET') {
    if (kind === 'references' && name && step === undefined) return sandbox.lookUp(name);
    throw new Refusal(404, 'not_found');
  }
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string' || key === '' || key.length > 255)
    throw new Refusal(400, 'idempotency_key_missing');
  const fingerprint = createHash('sha256').update(`${request.url}\n${text}`).digest('base64url').slice(0, 22);
  const body = parse(text);
  if (kind === 'payments' && name === undefined)
    return sandbox.authorize(key, fingerprint, authorizeBody(body));
  if (kind === 'payments' && isStep(step)) {
    return sandbox.step(step, key, fingerprint, name, step === 'void' ? 0 : amountOf(body));
  }
  if (kind === 'references' && step === 'void') return sandbox.closeReference(key, fingerprint, name);
  throw new Refusal(404, 'not_found');
}

async function admin(
  sandbox: Sandbox,
  method: string,
  what: string,
  query: URLSearchParams,
  text: string,
): Promise<Reply> {
  const ok = (body: object): Reply => ({ http_status: 200, body });
  if (method === 'GET') {
    if (what === 'payments')
      return ok({ payments: sandbox.newest(Math.min(Number(query.get('limit') ?? 100), 1_000)) });
    if (what === 'faults') return ok({ faults: sandbox.faults.list(), settings: sandbox.settings });
    if (what === 'money') {
      const { orders, ...sums } = await testimony(sandbox.journal_path);
      const order_id = query.get('order_id');
      return ok({
        ...sums,
        webhooks_waiting: sandbox.webhooks.waiting(),
        ...(order_id ? { order: orders.get(order_id) ?? null } : {}),
      });
    }
    throw new Refusal(404, 'not_found');
  }
  const body = parse(text);
  switch (what) {
    case 'faults':
      sandbox.faults.set(faultList(body.faults), Number(body.seed ?? 1));
      return ok({ faults: sandbox.faults.list() });
    case 'settings':
      if (body.events === 'untold' || body.events === 'all') sandbox.settings.events = body.events;
      if (isAmount(body.late_ms)) sandbox.settings.late_ms = body.late_ms;
      if (isAmount(body.slow_ms)) sandbox.settings.slow_ms = body.slow_ms;
      return ok({ settings: sandbox.settings });
    case 'release':
      return ok({
        released: await sandbox.release(typeof body.reference === 'string' ? body.reference : undefined),
      });
    case 'forget-keys':
      await sandbox.forgetKeys();
      return ok({});
    default:
      throw new Refusal(404, 'not_found');
  }
}

function authorizeBody(body: Record<string, unknown>): AuthorizeBody {
  const { reference, order_id, currency, token, expires_at } = body;
  if (typeof reference !== 'string' || !NAME.test(reference)) throw new Refusal(400, 'invalid_reference');
  if (typeof order_id !== 'string' || !NAME.test(order_id)) throw new Refusal(400, 'invalid_order_id');
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency))
    throw new Refusal(400, 'invalid_currency');
  if (typeof token !== 'string' || token === '' || token.length > 255)
    throw new Refusal(400, 'invalid_token');
  if (expires_at !== undefined && (typeof expires_at !== 'string' || Number.isNaN(Date.parse(expires_at)))) {
    throw new Refusal(400, 'invalid_expires_at');
  }
  return {
    reference,
    order_id,
    currency,
    token,
    amount: amountOf(body),
    ...(expires_at ? { expires_at } : {}),
  };
}

function faultList(value: unknown): Fault[] {
  if (!Array.isArray(value)) throw new Refusal(400, 'invalid_faults');
  return value.map((fault: Partial<Fault>) => {
    if (!FAULT_KINDS.some((kind) => kind === fault?.kind) || !FAULT_TARGETS.some((on) => on === fault?.on)) {
      throw new Refusal(400, 'invalid_fault');
    }
    return fault as Fault;
  });
}

function isStep(step: string | undefined): step is StepName {
  return step === 'capture' || step === 'void' || step === 'refund';
}

function isAmount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function amountOf(body: Record<string, unknown>): number {
  if (!isAmount(body.amount)) throw new Refusal(400, 'invalid_amount');
  return body.amount;
}

function parse(text: string): Record<string, unknown> {
  if (text === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {}
  throw new Refusal(400, 'invalid_json');
}

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > BODY_BYTES_MAX) reject(new Refusal(413, 'too_large'));
      else chunks.push(chunk);
    });
    request.on('end', () =>
      resolve(chunks.length === 1 ? chunks[0].toString() : Buffer.concat(chunks).toString()),
    );
    request.on('error', reject);
  });
}

function send(response: ServerResponse, reply: Exclude<Reply, 'never'>): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(reply.body);
  response.writeHead(reply.http_status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
