/**
 * Who works with the engines: buyers, who come once or again, ask twice, ask for something else under the same key, pay,
 * cancel, or leave; and an operator. They speak to engines over a network that loses requests and answers, and write down
 * what they were told.
 */
import type { Line, Road } from '../../../domain/types.ts';
import type { Reply } from '../../../engine/reply.ts';
import type { Process } from '../core/scheduler.ts';
import { sleep, type World } from '../world.ts';
import type { CheckoutRequest, Engine } from './engine.ts';

/** An answer that said: it is yours. */
export type Ack = {
  buyer: string;
  key: string;
  order_id: string;
  told: string;
  total: number;
  at_ms: number;
};

export type Shop = {
  /** Every one, replays too, in the order in which they were told. */
  acks: Ack[];
  /** How many are still at it. */
  busy(): number;
};

export type ShopOptions = {
  world: World;
  /** The engines that are there just now. */
  engines: () => readonly Engine[];
  buyers: number;
  skus: readonly string[];
  operator: boolean;
  /** Within this time all begin, ms. */
  rush_ms: number;
};

/** An answer that is no "not now". */
const isSettled = (reply: Reply) => !('code' in reply) || !NOT_NOW.includes(reply.code);
const NOT_NOW = ['unavailable', 'sale_recovering', 'overloaded'];
const CLIENT_TIMEOUT_MS = 8_000;
const TRIES_MAX = 10;
const LOST = 'lost';

export function openShop(options: ShopOptions): Shop {
  const { world, engines, skus, rush_ms } = options;
  const { random, scheduler } = world;
  const acks: Ack[] = [];
  let busy = 0;

  /** One request to one engine. `lost`: no answer, whatever was done. */
  function ask<T>(process: Process, run: (engine: Engine) => Promise<T>): Promise<T | typeof LOST> {
    const there = engines();
    return new Promise((resolve) => {
      const give_up = scheduler.after(CLIENT_TIMEOUT_MS, process, () => resolve(LOST));
      const answer = (value: T | typeof LOST, ms: number) =>
        scheduler.after(ms, process, () => {
          give_up.canceled = true;
          resolve(value);
        });
      if (there.length === 0) return void answer(LOST, 50);
      const engine = random.pick(there);
      const { lost_request, lost_reply } = world.weather.http;
      if (random.chance(lost_request)) return;
      const loses = random.chance(lost_reply);
      scheduler.after(random.delay_ms(0.2, 30), engine.process, () => {
        const done = (value: T | typeof LOST) => {
          if (!loses) answer(value, random.delay_ms(0.2, 30));
        };
        // The ledger is away, or something like it: 503.
        run(engine).then(done, (error: unknown) => {
          world.note(`${engine.process.name} 503: ${String(error)}`);
          done(LOST);
        });
      });
    });
  }

  async function checkout(process: Process, request: CheckoutRequest): Promise<Ack | string> {
    for (let tries = 1; ; tries++) {
      const outcome = await ask(process, (engine) => engine.checkout(request));
      if (outcome !== LOST && outcome.kind === 'accepted') {
        const { reservation } = outcome;
        const { buyer, key } = request;
        const ack: Ack = {
          ...{ buyer, key, order_id: reservation.order_id, told: JSON.stringify(reservation) },
          ...{ total: reservation.amounts.total, at_ms: scheduler.now_ms() },
        };
        acks.push(ack);
        world.note(
          `${buyer} ${key} has ${reservation.order_id.slice(11, 17)}${outcome.replayed ? ' (replayed)' : ''}`,
        );
        return ack;
      }
      const kind = outcome === LOST ? LOST : outcome.kind;
      const again =
        kind === LOST || kind === 'unavailable' || kind === 'sale_recovering' || kind === 'overloaded';
      if (!again || tries === TRIES_MAX) {
        world.note(`${request.buyer} ${request.key} hears ${kind}`);
        return kind;
      }
      await sleep(world, process, random.delay_ms(50, 4_000));
    }
  }

  function draw(buyer: string, no: number): CheckoutRequest {
    const lines: Line[] = [{ sku: random.pick(skus), qty: random.int(1, 2) }];
    if (random.chance(0.25)) lines.push({ sku: random.pick(skus), qty: 1 });
    const road: Road = random.chance(0.6) ? 'checkout' : 'lock';
    const token = random.chance(0.12) ? 'pm_declined' : random.chance(0.15) ? 'pm_pending' : 'pm_ok';
    return { buyer, key: `k${no}`, lines, road, token };
  }

  async function goOn(process: Process, request: CheckoutRequest, { order_id, buyer }: Ack): Promise<void> {
    const pause = (most: number) => sleep(world, process, random.delay_ms(10, most));
    if (request.road === 'checkout') {
      if (random.chance(0.25)) {
        await pause(9_000);
        const said = await ask(process, (engine) => engine.cancel(order_id, buyer));
        world.note(`${buyer} cancels: ${said === LOST ? LOST : said.kind}`);
      }
      return;
    }
    const what = random.next();
    if (what < 0.15) return;
    await pause(6_000);
    if (what < 0.3) {
      await ask(process, (engine) => engine.cancel(order_id, buyer));
      return;
    }
    for (let tries = 0; tries < 5; tries++) {
      const paid = await ask(process, (engine) => engine.pay(order_id, buyer, request.token));
      if (paid !== LOST && paid.kind !== 'not_found') break;
      await pause(2_000);
    }
    for (let tries = 0; tries < 8; tries++) {
      await pause(3_000);
      if (random.chance(0.08)) await ask(process, (engine) => engine.cancel(order_id, buyer));
      const said = await ask(process, (engine) => engine.confirm(order_id, buyer));
      if (said !== LOST && said.kind !== 'invalid_state' && said.kind !== 'not_found') break;
    }
  }

  async function visit(no: number): Promise<void> {
    const buyer = `b${no}`;
    const process = scheduler.process(buyer);
    await sleep(world, process, random.next() * rush_ms);
    const visits = random.chance(0.3) ? 2 : 1;
    for (let at = 1; at <= visits; at++) {
      const request = draw(buyer, at);
      // The same again while the first is on its way: by another engine, or in one batch.
      const twice = random.chance(0.2) ? checkout(process, request) : undefined;
      const first = await checkout(process, request);
      await twice;
      if (typeof first === 'string') continue;
      if (random.chance(0.15)) {
        const other = { ...request, lines: [{ sku: random.pick(skus), qty: 3 }] };
        const said = await checkout(process, other);
        const may = ['idempotency_key_reused', LOST, 'unavailable', 'sale_recovering', 'overloaded'];
        if (typeof said !== 'string' || !may.includes(said))
          world.altered.push({ buyer, key: request.key, at_ms: scheduler.now_ms() });
      }
      await goOn(process, request, first);
      if (random.chance(0.4)) {
        await sleep(world, process, random.delay_ms(100, 14_000));
        await checkout(process, request);
      }
    }
  }

  async function operate(): Promise<void> {
    const process = scheduler.process('operator');
    const deeds = random.int(1, 4);
    for (let no = 1; no <= deeds; no++) {
      await sleep(world, process, random.next() * rush_ms * 0.6);
      const items = [{ sku: random.pick(skus), qty: random.int(1, 3) }];
      const kind = random.int(1, 7);
      if (kind <= 2)
        await persist(process, (engine) => engine.stock('topup', `t${no}`, items).then(isSettled));
      else if (kind <= 4)
        await persist(process, (engine) => engine.stock('reduce', `r${no}`, items).then(isSettled));
      else if (kind === 7) await ask(process, (engine) => engine.rebuild());
      else if (kind === 5) {
        await ask(process, (engine) => engine.gate('pause'));
        await sleep(world, process, random.delay_ms(50, 3_000));
        await persist(process, (engine) => engine.gate('resume').then(() => true));
      } else if (no === deeds) await ask(process, (engine) => engine.gate('close'));
    }
    for (const { order_id } of [...acks]) {
      if (!random.chance(0.25)) continue;
      await sleep(world, process, random.delay_ms(10, 4_000));
      const key = `g${order_id.slice(11, 17)}`;
      const what = random.next();
      if (what < 0.4) await ask(process, (engine) => engine.ship(order_id));
      else if (what < 0.6) await ask(process, (engine) => engine.refund(order_id, key, undefined));
      else if (what < 0.8) await ask(process, (engine) => engine.refund(order_id, key, 70));
      else await ask(process, (engine) => engine.giveBack(order_id, key, true));
    }
  }

  async function persist(process: Process, run: (engine: Engine) => Promise<boolean>): Promise<void> {
    for (let tries = 0; tries < 5; tries++) {
      if ((await ask(process, run)) === true) return;
      await sleep(world, process, random.delay_ms(100, 3_000));
    }
  }

  const works = (work: Promise<void>) => {
    busy += 1;
    // A bug of the simulation must not pass for silence.
    work.then(
      () => {
        busy -= 1;
      },
      (error: unknown) => world.violate(`the shop failed: ${String((error as Error).stack)}`),
    );
  };
  for (let no = 1; no <= options.buyers; no++) works(visit(no));
  if (options.operator) works(operate());
  return { acks, busy: () => busy };
}
