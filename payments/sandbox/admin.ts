/**
 * The sandbox's levers, at /admin, for demo, tests and bench. `Authorization: Bearer <PSP_SANDBOX_SECRET>`.
 *
 *     GET  /admin/payments?limit=                newest first
 *     GET  /admin/money[?order_id=]              what the journal says about each order's money
 *     GET  /admin/faults                         faults and settings
 *     POST /admin/faults {faults, seed?}         replaces all
 *     POST /admin/settings {events?, late_ms?, slow_ms?, upi_ms?, time_scale?}
 *     POST /admin/release {reference?}           late payments succeed now
 *     POST /admin/decide {reference, approve}    what the buyer decides on the hosted page
 *     POST /admin/lapse {reference}              an authorization is over before it was captured
 *     POST /admin/forget-keys                    as a provider does after a day
 */
import { FAULT_KINDS, FAULT_TARGETS, type Fault } from './faults.ts';
import { HttpRefusal } from './http-refusal.ts';
import { isAmount, jsonObject } from './json-body.ts';
import { sameText } from './same-text.ts';
import type { Sandbox } from './service.ts';
import type { Settings } from './settings.ts';
import { told } from './wires/native.ts';
import type { WireReply, WireRequest } from './wires/wire.ts';
import { testimony } from './witness.ts';

export type Admin = (what: string, request: WireRequest) => Promise<WireReply>;

const PAYMENTS_MAX = 1_000;

export function createAdmin(sandbox: Sandbox, secret: string): Admin {
  const admits = sameText(`Bearer ${secret}`);
  return async (what, request) => {
    if (!admits(request.headers.authorization)) throw new HttpRefusal(401, 'unauthorized');
    const body =
      request.method === 'GET'
        ? await ask(sandbox, what, request.query)
        : await act(sandbox, what, request.text);
    if (!body) throw new HttpRefusal(404, 'not_found');
    return { http_status: 200, body };
  };
}

async function ask(sandbox: Sandbox, what: string, query: URLSearchParams): Promise<object | undefined> {
  switch (what) {
    case 'payments': {
      const limit = Math.min(Number(query.get('limit') ?? 100) || 100, PAYMENTS_MAX);
      return { payments: sandbox.newest(limit).map(told) };
    }
    case 'faults':
      return { faults: sandbox.faults.list(), settings: sandbox.settings };
    case 'money': {
      const { orders, ...sums } = await testimony(sandbox.journal_path);
      const order_id = query.get('order_id');
      const order = order_id ? { order: orders.get(order_id) ?? null } : {};
      return { ...sums, webhooks_waiting: sandbox.webhooks.waiting(), ...order };
    }
    default:
      return undefined;
  }
}

async function act(sandbox: Sandbox, what: string, text: string): Promise<object | undefined> {
  const body = jsonObject(text);
  const reference = typeof body.reference === 'string' ? body.reference : undefined;
  switch (what) {
    case 'faults':
      sandbox.faults.set(faultList(body.faults), Number(body.seed ?? 1));
      return { faults: sandbox.faults.list() };
    case 'settings':
      Object.assign(sandbox.settings, settingsOf(body));
      return { settings: sandbox.settings };
    case 'release': {
      const released = sandbox.bank.release(reference);
      await sandbox.written();
      return { released };
    }
    case 'decide': {
      const payments = await sandbox.byReference(reference ?? '');
      for (const payment of payments) sandbox.bank.decide(payment, body.approve !== false);
      await sandbox.written();
      return { decided: payments.length };
    }
    case 'lapse': {
      const payments = await sandbox.byReference(reference ?? '');
      const lapsed = payments.filter((payment) => sandbox.bank.lapse(payment)).length;
      await sandbox.written();
      return { lapsed };
    }
    case 'forget-keys':
      await sandbox.forgetKeys();
      return {};
    default:
      return undefined;
  }
}

function settingsOf(body: Record<string, unknown>): Partial<Settings> {
  const changes: Partial<Settings> = {};
  if (body.events === 'untold' || body.events === 'all') changes.events = body.events;
  for (const name of ['late_ms', 'slow_ms', 'upi_ms'] as const) {
    const value = body[name];
    if (isAmount(value)) changes[name] = value;
  }
  if (typeof body.time_scale === 'number' && body.time_scale >= 0) changes.time_scale = body.time_scale;
  return changes;
}

function faultList(value: unknown): Fault[] {
  if (!Array.isArray(value)) throw new HttpRefusal(400, 'invalid_faults');
  return value.map((fault: Partial<Fault>) => {
    if (!FAULT_KINDS.some((kind) => kind === fault?.kind) || !FAULT_TARGETS.some((on) => on === fault?.on)) {
      throw new HttpRefusal(400, 'invalid_fault');
    }
    return fault as Fault;
  });
}
