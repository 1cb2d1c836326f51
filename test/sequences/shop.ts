/** One sale of a sequence, with two engines that sell it and the operators' requests as the engine carries them out. */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { requestHash } from '../../domain/ids.ts';
import type { Reserve, ReserveOutcome } from '../../engine/checkout/port.ts';
import { createReserve } from '../../engine/checkout/reserve.ts';
import { readSale } from '../../engine/sales/read-sale.ts';
import { adoptEpoch, type Sale } from '../../engine/sales/sale.ts';
import { createSale } from '../../ledger/sales/create-sale.ts';
import { recordReduce } from '../../ledger/sales/record-reduce.ts';
import { type GateAction, setGate } from '../../ledger/sales/set-gate.ts';
import { topup } from '../../ledger/sales/topup.ts';
import { gate, reduce } from '../../lua/scripts.ts';
import type { Pool } from '../../platform/postgres.ts';
import { RedisUnavailable } from '../../platform/redis.ts';
import { hash16 } from '../support/ledger.ts';
import { PRICE } from '../support/reconciler.ts';
import { type Line, SKUS, type Wish } from './commands.ts';

export const UNITS = 8;
export const LIMIT = 9;

export type Shop = {
  sale_no: number;
  tenant: string;
  /** Once the sale is loaded. */
  open(): Promise<void>;
  /** One batch. `lost`: the first answer never arrives. */
  ask(engine: 0 | 1, wishes: readonly Wish[], options?: { lost?: boolean }): Promise<Asked>;
  topup(key: number, lines: readonly Line[]): ReturnType<typeof topup>;
  /** Undefined: refused for now. */
  reduce(key: number, lines: readonly Line[]): Promise<Reduced | undefined>;
  /** `taken`: false if Redis has not been asked, or refused for now. */
  gate(action: GateAction, ask: boolean): Promise<{ gate: string | undefined; taken: boolean }>;
};

/** `resent`: it was sent more than once, so an answer may be a replay of an earlier one that nobody heard. */
export type Asked = { outcomes: ReserveOutcome[]; resent: boolean };

export type Reduced = { kind: 'taken' | 'replay'; taken: Line[] } | { kind: 'key_reused' };

/** Of an engine's request: a busy machine is no outage. */
const PATIENCE_MS = 50_000;

export const fingerprintOf = (wish: Wish): Buffer => hash16(JSON.stringify([wish.road, wish.lines]));

export async function createShop({ db, redis }: { db: Pool; redis: Redis }): Promise<Shop> {
  const tenant = `t${randomBytes(5).toString('hex')}`;
  const made = await createSale(db, {
    ...{ tenant, id: 'sale', currency: 'USD', hold_ms: 600_000, limit_per_buyer: LIMIT, body: {} },
    items: SKUS.map((sku) => ({ sku, name: sku, unit_price: PRICE, qty: UNITS })),
  });
  if (made.kind !== 'created') throw new Error(made.kind);
  let engines: { sale: Sale; reserve: Reserve; sent: () => number; loseAnswer: () => void }[] = [];

  async function openEngine(): Promise<(typeof engines)[number]> {
    const { connection, sent, loseAnswer } = forgetful(redis);
    const sale = await readSale(redis, tenant, 'sale');
    if (!sale) throw new Error('the sale is not loaded');
    const failed = (error: unknown) => {
      throw error;
    };
    const observe = { batch() {}, pending() {}, failed };
    return {
      sale,
      reserve: createReserve({ redis: connection, observe, deadline_ms: PATIENCE_MS }),
      sent,
      loseAnswer,
    };
  }

  /** As engine/handlers/admin-stock.ts and admin-sales.ts do: what the sale refuses for its epoch goes again. */
  async function untilHeard<R extends { kind: string }>(
    send: (sale: Sale) => Promise<R>,
  ): Promise<R | undefined> {
    const { sale } = engines[0];
    for (;;) {
      const reply = await send(sale).catch((error: unknown) => {
        // A busy machine: nobody heard the answer, and asking again is harmless.
        if (!(error instanceof RedisUnavailable)) throw error;
        return undefined;
      });
      if (!reply) continue;
      if (reply.kind !== 'refused') return reply;
      const refused = reply as unknown as { reason: string; epoch: number; generation: number };
      if (refused.reason !== 'epoch') return undefined;
      adoptEpoch(sale, refused);
    }
  }

  return {
    ...{ sale_no: made.sale_no, tenant },
    async open() {
      engines = [await openEngine(), await openEngine()];
    },
    async ask(engine, wishes, { lost = false } = {}) {
      const { sale, reserve, loseAnswer, sent } = engines[engine];
      if (lost) loseAnswer();
      const before = sent();
      const asked = wishes.map((wish) =>
        reserve({
          ...{ sale, buyer: wish.buyer, key: String(wish.key), fingerprint: () => fingerprintOf(wish) },
          ...{ road: wish.road, lines: wish.lines, shipping_address: null, contact: null },
          payment_method: wish.road === 'checkout' ? { type: 'card', token: 'pm_ok' } : null,
        }),
      );
      const outcomes = await Promise.all(asked);
      return { outcomes, resent: sent() > before + 1 };
    },
    topup(key, items) {
      const fingerprint = hash16(JSON.stringify(items));
      return topup(db, { ...{ tenant, sale: 'sale', key: `topup-${key}`, fingerprint }, items });
    },
    async reduce(key, items) {
      const request = { key: `reduce-${key}`, fingerprint: hash16(JSON.stringify(items)) };
      const claim = await recordReduce(db, { tenant, sale: 'sale', ...request });
      if (claim.kind === 'not_found') throw new Error('no such sale');
      if (claim.kind === 'key_reused') return { kind: 'key_reused' };
      if (claim.kind === 'replay') return { kind: 'replay', taken: claim.answer.items };
      const { salt } = engines[0].sale;
      const id = requestHash(salt, tenant, 'sale', 'operator:reduce', request.key);
      const reply = await untilHeard((sale) =>
        reduce(redis, sale.token, { id, ...request, request_id: request.key, items }, Date.now()),
      );
      if (!reply || reply.kind === 'refused') return undefined;
      if ('taken' in reply) return { kind: reply.kind, taken: reply.taken };
      if (reply.kind === 'unknown_sku') throw new Error(reply.kind);
      return { kind: 'key_reused' };
    },
    async gate(action, ask) {
      const set = await setGate(db, tenant, 'sale', action);
      if (set.kind === 'not_found' || set.kind === 'invalid_state') return { gate: undefined, taken: false };
      if (!ask) return { gate: set.gate, taken: false };
      const reply = await untilHeard((sale) => gate(redis, sale.token, set));
      return { gate: set.gate, taken: reply !== undefined };
    },
  };
}

/** The connection as an engine has it: told to, it loses the answer of the next script after it ran. */
function forgetful(redis: Redis): { connection: Redis; sent: () => number; loseAnswer: () => void } {
  let lose = false;
  let sent = 0;
  const connection = new Proxy(redis, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      if (name !== 'sendCommand') return value.bind(target);
      return async (command: Parameters<Redis['sendCommand']>[0]) => {
        const losing = lose;
        lose = false;
        sent += 1;
        const reply = await target.sendCommand(command);
        if (losing) throw new Error('Connection is closed.');
        return reply;
      };
    },
  });
  return {
    connection,
    sent: () => sent,
    loseAnswer: () => {
      lose = true;
    },
  };
}
