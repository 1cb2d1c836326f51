/**
 * Hazard 5: a script that fails after its first write cannot take it back. So every verb is called with arguments and
 * keys that are not what it expects: bytes flipped, cut off and added, other values packed, arguments missing, keys of
 * another type, fields of the record that are no numbers. Whoever gets an error finds that nothing has changed; where
 * something has changed, it is whole.
 */
import { Command, type Redis } from 'ioredis';
import { dayOf } from '../../../domain/ids.ts';
import { saleKeys } from '../../../lua/keys.ts';
import { pack } from '../../../lua/packing.ts';
import { claim, REBUILD_SCRIPTS, stage, stageBegin, switchOver } from '../../../lua/rebuild-scripts.ts';
import {
  apply,
  fence,
  gate,
  load,
  loadItems,
  reduce,
  reserve,
  SCRIPTS,
  verifyOpen,
} from '../../../lua/scripts.ts';
import { batchOf, connect, openTestSale, type TestSale } from '../../../lua/testing/sale.ts';
import { seeded } from '../../../payments/sandbox/seeded.ts';
import { hash16 } from '../../support/ledger.ts';
import { type Proof, type ProofOptions, startBrokenRedis } from './own-redis.ts';

type Arg = string | Buffer;
type Call = { verb: string; sha: string; keys: string[]; args: Arg[] };
type Draw = { below(limit: number): number; pick<T>(list: readonly T[]): T };

/** `times`: calls. */
export async function verbFuzz({ times, seed, progress }: ProofOptions): Promise<Proof> {
  const server = await startBrokenRedis({ 'enable-debug-command': 'local', appendfsync: 'no' });
  const redis = connect(server.url);
  const sale = await openTestSale(redis, { tenant: 'default', items: [{ sku: 'a', qty: 50 }, { sku: 'b', qty: 50 }], limit: 9 }); // biome-ignore format: one line
  const now = Date.now();
  const window = { now_ms: now, not_after_ms: now + 86_400_000 };
  await reserve(redis, sale.token, batchOf([request('first', 2), request('second', 3)]), window);
  for (const { source } of [...Object.values(SCRIPTS), ...Object.values(REBUILD_SCRIPTS)])
    await redis.script('LOAD', source);
  // A rebuild is under way: claimed, its next generation begun.
  const next_generation = { ...sale.token, generation: 2, epoch: sale.token.epoch + 1 };
  const calls = await validCalls(sale, window, await identityOf(redis));
  await stageBegin(redis, next_generation, [dayOf(now) - 1, dayOf(now)]);
  const base = await dumpAll(redis);
  const base_digest = await digestOf(redis);
  const next = seeded(seed);
  const draw: Draw = {
    below: (limit) => Math.floor(next() * limit),
    pick: (list) => list[Math.floor(next() * list.length)],
  };
  const wrong: string[] = [];
  const done: Record<string, number> = { calls: 0, errors: 0, refused: 0, changed: 0 };
  for (let i = 0; i < times; i++) {
    const call = draw.pick(calls);
    const { keys, args, how, spoilt } = await spoil(redis, call, draw);
    const before = spoilt ? await digestOf(redis) : base_digest;
    let failed = false;
    try {
      await redis.sendCommand(new Command('EVALSHA', [call.sha, String(keys.length), ...keys, ...args]));
    } catch {
      failed = true;
    }
    const after = await digestOf(redis);
    done.calls += 1;
    done[failed ? 'errors' : after === before ? 'refused' : 'changed'] += 1;
    const tell = (what: string) =>
      wrong.push(
        `call ${i}, ${call.verb} with ${how}: ${what} (${args.map((arg) => Buffer.from(arg).toString('hex')).join(' ')})`,
      );
    if (failed && after !== before) tell('failed, and has written');
    // Where the keys themselves were spoilt, what is whole can't be told.
    if (!failed && after !== before && !spoilt) {
      const broken = await brokenSale(redis, sale, call.verb);
      if (broken) tell(broken);
    }
    if (after !== base_digest) await restoreAll(redis, base);
    if ((i + 1) % 10_000 === 0) progress?.(`${i + 1} calls, ${done.errors} errors, ${done.changed} changes`);
  }
  redis.disconnect();
  await server.close();
  return { what: 'verbs called wrongly', done, wrong };
}

function request(name: string, qty: number) {
  const lines = [
    { sku: 'a', qty },
    { sku: 'b', qty: 1 },
  ];
  return { id: hash16(name), fingerprint: hash16('f'), buyer: hash16(`buyer of ${name}`), lines };
}

/** What the typed calls send, one or more of each verb, never sent. */
async function validCalls(
  sale: TestSale,
  window: { now_ms: number; not_after_ms: number },
  identity: string,
): Promise<Call[]> {
  const calls: Call[] = [];
  const verb_of = new Map(
    [...Object.values(SCRIPTS), ...Object.values(REBUILD_SCRIPTS)].map((script) => [script.sha, script.name]),
  );
  const recorder = {
    sendCommand(command: Command): Promise<never> {
      const [sha, count, ...rest] = command.args as Arg[];
      const keys = rest.slice(0, Number(count)).map(String);
      calls.push({
        verb: verb_of.get(String(sha)) ?? '',
        sha: String(sha),
        keys,
        args: rest.slice(Number(count)),
      });
      return Promise.reject(new Error('recorded'));
    },
    set: () => Promise.resolve('OK'),
  } as unknown as Redis;
  const { token, route, salt } = sale;
  const items = [{ sku: 'a', qty: 2 }];
  const other = { ...token, sale: 'other', epoch: 5 };
  const fields = { gate: 'open', gate_version: 1, opens_at_ms: 0, closes_at_ms: 0, hold_ms: 60_000, limit: 9, salt, route, currency: 'USD' } as const; // biome-ignore format: one line
  const id = hash16('reduce');
  const sent: (() => Promise<unknown>)[] = [
    () => reserve(recorder, token, batchOf([request('third', 1), request('fourth', 2)]), window),
    () => reserve(recorder, token, batchOf([request('first', 2), request('fifth', 2)]), window),
    () => apply(recorder, token, { n: 1, items: [{ sku: 'a', to_available: 1, from_held: 1 }], buyers: [{ buyer_hash: hash16('buyer of first'), units: 1 }], earliest_ms: 1 }), // biome-ignore format: one line
    () => reduce(recorder, token, { id, fingerprint: id, request_id: 'r', items }, window.now_ms),
    () => gate(recorder, token, { version: 2, gate: 'paused' }),
    () => loadItems(recorder, other, [{ sku: 'a', position: 0, name: 'a', unit_price: 1, qty: 5 }]),
    () => load(recorder, other, fields, 1),
    () => fence(recorder, token),
    () =>
      verifyOpen(
        recorder,
        token,
        { old_epoch: token.epoch, seq: 2, applied_n: 0, identity_now: 'x' },
        { epoch: token.epoch + 1, gate_version: 2, gate: 'paused' },
      ),
  ];
  const staged = { ...token, generation: 2, epoch: token.epoch + 1 };
  const days = [dayOf(window.now_ms) - 1, dayOf(window.now_ms)];
  const counts = { available: 0, held: 0, catalog: 0, buyers: 0 };
  const over = { identity_now: identity, old_seq: 2, start_seq: 2, applied_n: 0, fields: { ...fields, earliest_ms: 0 }, counts, days: days.map((day) => ({ day, records: 0 })) }; // biome-ignore format: one line
  sent.push(
    () => claim(recorder, { ...staged, route }),
    () => stageBegin(recorder, staged, days),
    () => stage(recorder, staged, 'available', ['a', 1, 'b', 2]),
    () => switchOver(recorder, staged, over),
    () => switchOver(recorder, staged, over),
  );
  for (const send of sent) await send().catch(() => {});
  return calls;
}

const VALUES: readonly unknown[] = [
  ...[null, true, -1, 0, 1.5, 1e308, Number.NaN, '', 'a', [], {}, [[]], [null, null, null, null]],
  ...[[['a'], [1, 1, 1], [1], [1]], [['a'], 7, [0], [0]], [['zz'], [1, 1, 1], [0], [0]], { a: [1] }],
];

/** One thing wrong with a call, or with what it finds. */
async function spoil(
  redis: Redis,
  call: Call,
  draw: Draw,
): Promise<{ keys: string[]; args: Arg[]; how: string; spoilt: boolean }> {
  const keys = [...call.keys];
  const args = [...call.args];
  const at = draw.below(Math.max(1, args.length));
  const bytes = Buffer.from(args[at] ?? '');
  const whole = { keys, args, spoilt: false };
  switch (draw.below(9)) {
    case 0:
    case 1: {
      if (bytes.length === 0) return { ...whole, how: 'nothing wrong' };
      for (let flips = 1 + draw.below(3); flips > 0; flips--)
        bytes[draw.below(bytes.length)] ^= 1 << draw.below(8);
      args[at] = bytes;
      return { ...whole, how: `bits of argument ${at} flipped` };
    }
    case 2:
      args[at] = bytes.subarray(0, draw.below(bytes.length + 1));
      return { ...whole, how: `argument ${at} cut off` };
    case 3:
      args[at] = Buffer.concat([bytes, Buffer.from([draw.below(256), draw.below(256)])]);
      return { ...whole, how: `something behind argument ${at}` };
    case 4:
      args[at] = pack(draw.pick(VALUES));
      return { ...whole, how: `another value packed as argument ${at}` };
    case 5:
      args[at] = draw.pick(['', '-1', 'x', '1e400', 'nan', '99999999999999999999', '1.5']);
      return { ...whole, how: `argument ${at} is ${String(args[at])}` };
    case 6:
      args.splice(at, 1);
      return { ...whole, how: `argument ${at} missing` };
    case 7: {
      const key = draw.pick(keys);
      await redis.unlink(key);
      const type = draw.pick(['string', 'list', 'zset', 'set', 'none'] as const);
      if (type === 'string') await redis.set(key, 'x');
      if (type === 'list') await redis.rpush(key, 'x');
      if (type === 'zset') await redis.zadd(key, 1, 'x');
      if (type === 'set') await redis.sadd(key, 'x');
      return { keys, args, how: `${key} a ${type}`, spoilt: true };
    }
    default: {
      const field = draw.pick(['seq', 'applied_n', 'epoch', 'limit', 'hold_ms', 'gate_version', 'opens_at_ms', 'closes_at_ms', 'earliest_ms', 'identity']); // biome-ignore format: one line
      const value = draw.pick(['', 'x', '-5', '1e15', 'nan']);
      if (draw.below(4) === 0) await redis.hdel(keys[0], field);
      else await redis.hset(keys[0], field, value);
      return { keys, args, how: `${field} of the record ${value}`, spoilt: true };
    }
  }
}

/** What does not belong together any more, if anything. */
async function brokenSale(redis: Redis, sale: TestSale, verb: string): Promise<string | undefined> {
  const k = saleKeys(verb.startsWith('load') ? { ...sale.token, sale: 'other' } : sale.token);
  const [seq, last, available, held] = await Promise.all([
    redis.hget(k.record, 'seq'),
    redis.xrevrange(k.stream, '+', '-', 'COUNT', 1),
    redis.hgetall(k.available),
    redis.hgetall(k.held),
  ]);
  if (seq !== null && last[0]?.[0] !== `${seq}-0`)
    return `the record is at ${seq}, its stream at ${last[0]?.[0]}`;
  const counts = [...Object.entries(available), ...Object.entries(held)];
  const bad = counts.find(([, count]) => !/^\d+$/.test(count));
  return bad && `${bad[0]} counts ${bad[1]}`;
}

type Dump = readonly (readonly [key: string, bytes: Buffer, ttl_ms: number])[];

async function dumpAll(redis: Redis): Promise<Dump> {
  const names = await redis.keys('*');
  return Promise.all(
    names.map(
      async (name) =>
        [name, await redis.dumpBuffer(name), Math.max(0, await redis.pexpiretime(name))] as const,
    ),
  );
}

async function restoreAll(redis: Redis, dump: Dump): Promise<void> {
  const batch = redis.pipeline().flushall();
  for (const [key, bytes, ttl_ms] of dump) {
    if (ttl_ms > 0) batch.restore(key, ttl_ms, bytes, 'ABSTTL');
    else batch.restore(key, 0, bytes);
  }
  await batch.exec();
}

async function identityOf(redis: Redis): Promise<string> {
  const info = await redis.info();
  return ['run_id', 'master_replid']
    .map((name) => new RegExp(`^${name}:(\\w+)`, 'm').exec(info)?.[1])
    .join('');
}

async function digestOf(redis: Redis): Promise<string> {
  return String(await redis.call('DEBUG', 'DIGEST'));
}
