/** One sequence: its commands one after another against real stores, cheap invariants after each, all of them at the end. */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ReserveOutcome } from '../../engine/checkout/port.ts';
import type { SaleAudit } from '../../ledger/audit.ts';
import { cancelOrder } from '../../ledger/orders/cancel-order.ts';
import { confirmOrder } from '../../ledger/orders/confirm-order.ts';
import { deliverOrder } from '../../ledger/orders/deliver-order.ts';
import { expireDue } from '../../ledger/orders/expire-due.ts';
import { refundOrder } from '../../ledger/orders/refund-order.ts';
import { returnOrder } from '../../ledger/orders/return-order.ts';
import { recordShipment } from '../../ledger/payments/record-shipment.ts';
import { wantRebuild } from '../../ledger/rebuild/begin-rebuild.ts';
import { followedSale } from '../../ledger/stream/cursor.ts';
import { saleKeys } from '../../lua/keys.ts';
import { hash16, pastDeadline } from '../support/ledger.ts';
import { createBank } from './bank.ts';
import type { Command, Line, OrderDeed, SoldAsFarAs, Wish } from './commands.ts';
import { Broken, createJournal, forget, hear } from './journal.ts';
import { glance, judge } from './judge.ts';
import { type Copy, copyMemory, loseMemory, promote, restoreMemory, wipe } from './memory.ts';
import { createShop } from './shop.ts';
import { createWorker } from './workers.ts';
import type { World } from './world.ts';

export type Counts = Record<string, number>;

function turnOf(outcome: ReserveOutcome): number {
  if (outcome.kind === 'idempotency_key_reused') return 2;
  if (outcome.kind !== 'accepted') return 0;
  return outcome.replayed ? 2 : 1;
}

/**
 * Answers to requests that were under way together. Who was first is known by the answer alone: what is refused was asked
 * before something was taken under its key, what is replayed after.
 */
function inTurn(wishes: readonly Wish[], outcomes: readonly ReserveOutcome[]) {
  return wishes
    .map((wish, at) => ({ wish, outcome: outcomes[at] }))
    .sort((a, b) => turnOf(a.outcome) - turnOf(b.outcome));
}

const noJobs = () => Promise.resolve();
const HANGS_AFTER_MS = 60_000;
/** Steps until a sale has come to rest: far more than it needs. */
const DRAIN_STEPS_MAX = 500;

/** Throws Broken, with the command that showed it. `counts`: what really happened, for who wonders what was covered. */
export async function runSequence(
  world: World,
  sequence: readonly Command[],
  counts: Counts = {},
  trace?: (line: string) => void,
): Promise<void> {
  await world.refresh();
  await wipe(world.redis);
  const { db, redis } = world;
  const journal = createJournal();
  const shop = await createShop(world);
  const { sale_no, tenant } = shop;
  const record_key = saleKeys({ tenant, sale: 'sale', generation: 0 }).record;
  const bank = createBank(db, shop);
  const workers = [createWorker(world, sale_no), createWorker(world, sale_no)] as const;
  const claimed = new Set<number>();
  let copy: { memory: Copy; seq: number; line: number } | undefined;
  /** Which of the memories that Redis had: each loss begins another. */
  let line = 0;
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };

  await rest();
  await shop.open();
  for (const [i, command] of sequence.entries()) {
    try {
      await inTime(take(command));
      const audit = await glance(world, shop, journal);
      trace?.(await told(command, audit));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Broken(`command ${i + 1} of ${sequence.length}, ${JSON.stringify(command)}: ${message}`, {
        cause: error,
      });
    }
  }
  await inTime(finish());

  async function take(command: Command): Promise<void> {
    switch (command.do) {
      case 'reserve':
        return ask(command.engine, command.wishes, command.lost);
      case 'race': {
        const asked = await Promise.all([shop.ask(0, command.one), shop.ask(1, command.other)]);
        const outcomes = asked.flatMap((one) => one.outcomes);
        const resent = asked.some((one) => one.resent);
        const seq = await redisSeq();
        const wishes = [...command.one, ...command.other];
        for (const { wish, outcome } of inTurn(wishes, outcomes)) {
          count(`race ${outcome.kind}`);
          hear(journal, wish, outcome, seq, resent);
        }
        return;
      }
      case 'retry': {
        const told = [...journal.told.values()];
        if (told.length === 0) return;
        const { wish } = told[command.pick % told.length];
        const again = command.altered ? { ...wish, lines: [{ sku: 'a', qty: 5 }] } : wish;
        return ask(command.engine, [again], command.lost);
      }
      case 'order':
        return deed(command.deed, command.pick);
      case 'sell': {
        // Nobody can pay what the ledger does not have yet.
        await workers[0].work('ingest', null);
        const picked = await pickOrder(command.pick, ['reserved']);
        return picked && sell(picked, command.as_far_as);
      }
      case 'pay': {
        const picked = await pickOrder(command.pick, ['reserved']);
        if (picked) await bank.pay(picked);
        return;
      }
      case 'bank':
      case 'reverse': {
        const attempts = await bank.attempts();
        if (attempts.length === 0) return;
        const attempt = attempts[command.pick % attempts.length];
        if (command.do === 'reverse') return bank.reverse(attempt);
        count(`bank ${command.says}`);
        return bank.decide(attempt, command.says, command.told);
      }
      case 'topup': {
        const { key, lines } = command;
        const outcome = await shop.topup(key, lines);
        const known = journal.added.get(key);
        count(`topup ${outcome.kind}`);
        if (outcome.kind === 'done') {
          if (known) throw new Broken('added twice under one key');
          journal.added.set(key, { key, lines, answer: outcome.answer });
        } else if (outcome.kind === 'replay') {
          expectSame(known?.answer, outcome.answer);
        } else if (outcome.kind !== 'key_reused' || !known) throw new Broken(outcome.kind);
        return;
      }
      case 'reduce':
        return takeOut(command.key, command.lines);
      case 'gate':
        return setGate(command);
      case 'work': {
        const { worker, role, interruption } = command;
        const ended = await workers[worker].work(role, interruption);
        count(`work ${role}${ended ? '' : ` ${interruption?.kind ?? 'still'}`}`);
        return;
      }
      case 'wake':
        return workers[command.worker].wake();
      case 'forget scripts':
        await redis.script('FLUSH');
        return;
      case 'rebuild': {
        const wanted = await wantRebuild(db, sale_no, { reason: 'operator', actor: 'operator:test' });
        return count(`rebuild ${wanted === undefined ? 'wanted already' : 'wanted'}`);
      }
      case 'memory':
        return changeMemory(command);
    }
  }

  /** A line of a trace: a command, and where it left the sale. */
  async function told(command: Command, audit: SaleAudit): Promise<string> {
    const { seq, generation, epoch, fenced_reason } = await followedSale(db, sale_no);
    const stock = audit.skus.map((sku) => `${sku.sku} ${sku.told_available}+${sku.told_held}`).join(', ');
    const closed = fenced_reason ? `, ${fenced_reason}` : '';
    const place = `Redis at ${await redisSeq()}, ledger at ${seq}, generation ${generation}, epoch ${epoch % 1e6}`;
    return `${JSON.stringify(command)}\n    ${place}${closed}; ${stock}; ${audit.live.kind}`;
  }

  async function ask(engine: 0 | 1, wishes: readonly Wish[], lost: boolean): Promise<void> {
    const { outcomes, resent } = await shop.ask(engine, wishes, { lost });
    const seq = await redisSeq();
    // What was asked first as a question goes again, whole, after the rest of its batch has been decided.
    const answers = resent
      ? inTurn(wishes, outcomes)
      : wishes.map((wish, i) => ({ wish, outcome: outcomes[i] }));
    for (const { wish, outcome } of answers) {
      count(`reserve ${outcome.kind}`);
      trace?.(`    ${wish.buyer}/${wish.key}: ${JSON.stringify(outcome)}`);
      hear(journal, wish, outcome, seq, resent);
    }
  }

  async function takeOut(key: number, lines: Line[]): Promise<void> {
    const outcome = await shop.reduce(key, lines);
    count(`reduce ${outcome?.kind ?? 'recovering'}`);
    if (outcome?.kind !== 'key_reused') claimed.add(key);
    if (!outcome) return;
    const known = journal.reduced.get(key);
    if (outcome.kind === 'key_reused') {
      if (!claimed.has(key)) throw new Broken('a reduce is refused, and its key was never used');
    } else if (known && !known.may_be_lost) {
      if (outcome.kind === 'taken') throw new Broken('taken out twice under one key');
      expectSame(known.taken, outcome.taken);
    } else {
      const seq = await redisSeq();
      journal.reduced.set(key, { key, lines, taken: outcome.taken, seq, may_be_lost: false });
    }
  }

  async function setGate({ action, taken: ask_redis }: Extract<Command, { do: 'gate' }>): Promise<void> {
    const { gate, taken } = await shop.gate(action, ask_redis);
    if (gate === undefined) return;
    count(`gate ${action}${taken ? '' : ' not taken'}`);
    const stops = gate === 'closed' || gate === 'paused';
    if (taken) journal.selling = stops ? 'no' : 'yes';
    // On its way, or there already: a worker may take it there at any moment.
    else if (journal.selling !== (stops ? 'no' : 'yes')) journal.selling = 'unknown';
  }

  async function changeMemory({ what, process }: Extract<Command, { do: 'memory' }>): Promise<void> {
    if (what === 'restore' && !copy) return;
    count(`memory ${what}${process ? ', its process' : ''}`);
    switch (what) {
      case 'kill':
        // Nothing is lost, neither by a kill -9 nor by a promotion that lost nothing.
        return process ? world.restart() : promote(redis);
      case 'promote':
        return promote(redis);
      case 'copy':
        copy = { memory: await copyMemory(world, process), seq: await redisSeq(), line };
        return;
      case 'restore': {
        if (!copy) return;
        const { seq: cursor, epoch } = await followedSale(db, sale_no);
        await restoreMemory(world, copy.memory);
        // The copy has what was told until then, unless that was another memory.
        forget(journal, copy.line === line ? Math.max(cursor, copy.seq) : cursor, epoch);
        line += 1;
        copy.line = line;
        return;
      }
      case 'lose': {
        const { seq: cursor, epoch } = await followedSale(db, sale_no);
        await loseMemory(world, process);
        line += 1;
        forget(journal, cursor, epoch);
      }
    }
  }

  /** A payment that goes as it should, so that what comes after it is reached often enough. */
  async function sell(order: { id: string; buyer: string }, as_far_as: SoldAsFarAs): Promise<void> {
    count(`sell ${as_far_as}`);
    await bank.pay(order);
    const attempt = async () => (await bank.attempts()).filter((one) => one.order_id === order.id).at(-1);
    const paid = await attempt();
    if (!paid) return;
    await bank.decide(paid, 'authorized', true);
    if (as_far_as === 'authorized') return;
    await confirmOrder(db, { tenant, order_id: order.id, buyer: order.buyer }, noJobs);
    const confirmed = await attempt();
    if (!confirmed || as_far_as === 'confirmed') return;
    await bank.decide(confirmed, 'captured', true);
    if (as_far_as === 'captured') return;
    await recordShipment(db, { tenant, order_id: order.id, actor: 'operator:test' }, noJobs);
  }

  async function deed(what: OrderDeed, pick: number): Promise<void> {
    const from: Partial<Record<OrderDeed, string[]>> = {
      expire: ['reserved', 'authorized'],
      confirm: ['authorized'],
      ship: ['confirmed'],
      deliver: ['shipped'],
    };
    const picked = await pickOrder(pick, from[what]);
    if (!picked) return;
    const [verb, restocking] = what.split(' ');
    const order = { tenant, order_id: picked.id, actor: 'operator:test' };
    const request = {
      ...{ ...order, key: randomUUID(), fingerprint: hash16(what), reason: null },
      restock: restocking === 'restocking',
    };
    switch (verb) {
      case 'confirm':
        return void count(
          `confirm ${(await confirmOrder(db, { ...order, buyer: picked.buyer }, noJobs)).kind}`,
        );
      case 'cancel':
        return void count(`cancel ${(await cancelOrder(db, { ...order, buyer: picked.buyer })).kind}`);
      case 'expire':
        await pastDeadline(db, [picked.id]);
        await expireDue(db, { limit: 10 });
        return count('expire');
      case 'ship':
        return void count(`ship ${(await recordShipment(db, order, noJobs)).kind}`);
      case 'deliver':
        return void count(`deliver ${(await deliverOrder(db, order)).kind}`);
      case 'refund': {
        const refunded = await refundOrder(db, request, { reverse: noJobs, refund: noJobs });
        return count(`${what} ${refunded.kind}`);
      }
      case 'return':
        return void count(`${what} ${(await returnOrder(db, request, noJobs)).kind}`);
    }
  }

  /** One of the sale's orders in one of these states; undefined if there is none. */
  async function pickOrder(
    pick: number,
    states?: readonly string[],
  ): Promise<{ id: string; buyer: string } | undefined> {
    const { rows } = await db.query<{ id: string; buyer: string }>({
      text: `SELECT id, buyer FROM orders WHERE sale_no = $1 AND ($2::text[] IS NULL OR state = ANY ($2)) ORDER BY seq, id`,
      values: [sale_no, states ?? null],
    });
    return rows.length > 0 ? rows[pick % rows.length] : undefined;
  }

  /** Where Redis stands, 0 if it knows nothing. */
  async function redisSeq(): Promise<number> {
    return Number((await redis.hget(record_key, 'seq')) ?? 0);
  }

  /** Steps both workers until nothing is left to do. Throws if that never happens. */
  async function rest(): Promise<void> {
    let quiet = 0;
    for (let step = 0; step < DRAIN_STEPS_MAX; step++) {
      const worker = workers[step % 2];
      for (const role of ['discover', 'ingest', 'release'] as const) await worker.work(role, null);
      const sale = await followedSale(db, sale_no);
      const { rows } = await db.query<{ waiting: boolean }>({
        text: 'SELECT EXISTS (SELECT FROM movements WHERE sale_no = $1 AND n IS NULL) AS waiting',
        values: [sale_no],
      });
      const open =
        sale.loaded &&
        sale.epoch > 0 &&
        sale.opened_epoch === sale.epoch &&
        sale.fenced_reason === null &&
        sale.rebuild === null;
      const even =
        sale.acked_n === sale.sealed_n && sale.gate_version === sale.gate_version_seen && !rows[0].waiting;
      quiet = open && even && (await redisSeq()) === sale.seq ? quiet + 1 : 0;
      // Each has to find it so.
      if (quiet === 3) return;
    }
    throw new Broken(`does not come to rest: ${JSON.stringify(await followedSale(db, sale_no))}`);
  }

  /** Everybody wakes, the bank says its last word, nothing is left to do; then it is judged, and each key asked again. */
  async function finish(): Promise<void> {
    for (const worker of workers) await worker.wake();
    await rest();
    for (const attempt of await bank.attempts()) {
      await bank.tell(attempt);
      if (bank.stateOf(attempt.id) === 'pending') await bank.decide(attempt, 'declined', true);
    }
    for (const attempt of await bank.attempts()) {
      await bank.decide(attempt, 'captured', true);
    }
    for (const attempt of await bank.attempts()) await bank.reverse(attempt);
    await rest();
    await judge(world, shop, journal, bank);
    for (const { wish, may_be_lost } of [...journal.told.values()]) {
      if (may_be_lost) continue;
      await ask(0, [wish], false);
      await ask(1, [{ ...wish, lines: [{ sku: 'a', qty: 5 }] }], false);
    }
  }
}

function expectSame(first: unknown, then: unknown): void {
  if (!isDeepStrictEqual(first, then))
    throw new Broken(`first ${JSON.stringify(first)}, then ${JSON.stringify(then)}`);
}

/** Nothing takes so long, however busy the machine: it hangs. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Broken('it hangs')), HANGS_AFTER_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
