/**
 * The verbs of lua/ as a simulated Redis carries them out: what they decide is the pure twin's (domain/stock-model.ts),
 * what surrounds it (fence, record, buckets, stream, replies) is here. Held against the real Lua by redis-twin.test.ts.
 *
 * A verb gets KEYS and ARGV as the typed calls of lua/scripts.ts send them, and answers what Redis would.
 */
import { limitCounter } from '../../../domain/ids.ts';
import { RECORD_WINDOW_DAYS } from '../../../domain/limits.ts';
import {
  applyModel,
  gateModel,
  reduceModel,
  reserveModel,
  type StockAnswer,
  type StockRecord,
  type StockState,
} from '../../../domain/stock-model.ts';
import type { Gate } from '../../../domain/types.ts';
import type { RawEntry } from '../../../lua/entries.ts';
import { pack, unpack } from '../../../lua/packing.ts';
import type { Reply } from '../../../lua/runner.ts';
import type { EventOfRedis } from '../journal.ts';
import { bulk, type Hash, hashAt, type Keyspace, latin1, readHash } from './keyspace.ts';

export type VerbContext = {
  keys: Keyspace;
  now_ms: number;
  /** run_id and master_replid of the process, 80 characters. */
  identity: string;
  /** Told of what took effect: the judge's journal. */
  told: (event: EventOfRedis) => void;
};

type Arg = string | number | Buffer;
export type Verb = (context: VerbContext, KEYS: readonly string[], ARGV: readonly Arg[]) => Reply[];

const DAY_MS = 86_400_000;
const text = (value: string): Buffer => Buffer.from(value);
const reply = (...parts: (string | number)[]): Reply[] => parts.map((part) => text(String(part)));

/** lua/lib/guard.lua */
function guard(context: VerbContext, record: Hash | undefined, epoch: number): Reply[] | undefined {
  if (!record?.has('epoch')) return reply('refused', 'missing', 0, 0);
  const known = Number(record.get('epoch'));
  if (record.get('recovery') === 'open' && (record.get('identity') !== context.identity || known < epoch)) {
    record.set('recovery', 'recovering');
  }
  if (record.get('recovery') !== 'open') return refusal(record, 'recovering');
  if (known > epoch) return refusal(record, 'epoch');
  return undefined;
}

function refusal(record: Hash, reason: string): Reply[] {
  return reply('refused', reason, String(record.get('epoch')), String(record.get('generation')));
}

function field(record: ReadonlyMap<string, unknown>, name: string): number {
  return Number(record.get(name) ?? 0);
}

/** The twin's view of a sale: counters and buyers are the very maps of the keyspace. */
function stateOf(
  record: Hash,
  maps: { available: Hash; held: Hash; buyers?: Hash; records?: Map<string, StockRecord> },
): StockState {
  return {
    gate: String(record.get('gate')) as Gate,
    gate_version: field(record, 'gate_version'),
    opens_at_ms: field(record, 'opens_at_ms'),
    closes_at_ms: field(record, 'closes_at_ms'),
    limit: field(record, 'limit'),
    recovery: record.get('recovery') as StockState['recovery'],
    seq: field(record, 'seq'),
    applied_n: field(record, 'applied_n'),
    available: maps.available as Map<string, number>,
    held: maps.held as Map<string, number>,
    buyers: (maps.buyers ?? new Map()) as Map<string, number>,
    records: maps.records ?? new Map(),
  };
}

function append(
  keys: Keyspace,
  stream: string,
  seq: number,
  verb: string,
  header: object,
  orders?: Buffer,
): void {
  const fields = [text('v'), text(verb), text('h'), pack(header)];
  if (orders) fields.push(text('o'), orders);
  const entry: RawEntry = [text(`${seq}-0`), fields];
  const entries = keys.streams.get(stream);
  if (entries) entries.push(entry);
  else keys.streams.set(stream, [entry]);
}

const seqOf = (entry: RawEntry): number => Number(entry[0].toString().split('-')[0]);

function told(
  skus: readonly string[],
  available: ReadonlyMap<string, unknown>,
  held: ReadonlyMap<string, unknown>,
) {
  return {
    sku: skus,
    av: skus.map((sku) => Number(available.get(sku))),
    he: skus.map((sku) => Number(held.get(sku))),
  };
}

/** lua/lib/buckets.lua: the hashes of the days to look into, or undefined where the caller's clock is days off. */
function bucketsOf(context: VerbContext, KEYS: readonly string[], first_bucket: number, first_day: number) {
  const today = Math.floor(context.now_ms / DAY_MS);
  const keyOf = (day: number) => KEYS[first_bucket + day - first_day];
  const oldest = today - RECORD_WINDOW_DAYS + 1;
  if (!keyOf(today) || !keyOf(oldest)) return undefined;
  return {
    today,
    bucket_today: keyOf(today),
    find(id: string): { day: number; bytes: Buffer } | undefined {
      for (let day = today; day >= oldest; day--) {
        const bytes = context.keys.hashes.get(keyOf(day))?.get(id);
        if (bytes !== undefined) return { day, bytes: bulk(bytes) };
      }
      return undefined;
    },
  };
}

function offClock(context: VerbContext, record: Hash): Reply[] {
  return [...refusal(record, 'clock'), text(String(context.now_ms))];
}

const STATUS: Record<StockAnswer['status'], string> = {
  accepted: 'a',
  replay: 'r',
  key_reused: 'm',
  known: 'k',
  whole_wanted: 'w',
  late: 't',
  not_open: 'n',
  closed: 'c',
  paused: 'p',
  limit: 'l',
  sold_out: 's',
  temporarily_held: 'h',
  unknown_sku: 'u',
};

/** The name of the limit counter of the buyer whose hash begins there. */
const counterAt = (hashes: Buffer, from: number) => latin1(limitCounter(hashes.subarray(from, from + 16)));

const reserve: Verb = (context, KEYS, ARGV) => {
  const { keys, now_ms } = context;
  const [record_key, available_key, held_key, buyers_key, stream_key] = KEYS;
  const [epoch, , first_day, not_after_ms] = ARGV.map(Number);
  const [hashes, answers, payloads] = ARGV.slice(4) as Buffer[];
  const batch = unpack(ARGV[7] as Buffer) as [string[], number[], number[], number[]];
  const [skus, flat, answer_lengths, payload_lengths] = batch;
  const record = keys.hashes.get(record_key);
  const refused = guard(context, record, epoch);
  if (refused || !record) return refused ?? [];
  const days = bucketsOf(context, KEYS, 5, first_day);
  if (!days) return offClock(context, record);

  let at = 0;
  const requests = answer_lengths.map((length, i) => {
    const lines: { sku: string; qty: number }[] = [];
    for (let left = flat[at++]; left > 0; left--) lines.push({ sku: skus[flat[at++] - 1], qty: flat[at++] });
    const part = (from: number) => latin1(hashes.subarray(48 * i + from, 48 * i + from + 16));
    return {
      id: part(0),
      fingerprint: part(16),
      buyer: counterAt(hashes, 48 * i + 32),
      lines,
      question: length === 0,
    };
  });
  // What the twin asks of the records it knows, and what it adds.
  const added = new Map<string, StockRecord>();
  const records = {
    get(id: string): StockRecord | undefined {
      const known = added.get(id);
      if (known) return known;
      const found = days.find(id);
      return found && { fingerprint: latin1(found.bytes.subarray(0, 16)), taken: [] };
    },
    set: (id: string, value: StockRecord) => added.set(id, value),
  } as Map<string, StockRecord>;
  const available = hashAt(keys, available_key);
  const held = hashAt(keys, held_key);
  const buyers = hashAt(keys, buyers_key);
  const before = new Map(available);
  const state = stateOf(record, { available, held, buyers, records });
  const decided = reserveModel(state, requests, { now_ms, not_after_ms });
  if (decided === 'recovering') throw new Error('the guard had let it pass');

  const stamp = Buffer.alloc(10);
  stamp.writeUIntBE(now_ms, 0, 6);
  stamp.writeUInt32BE(field(record, 'hold_ms'), 6);
  const bucket: Hash = decided.some(({ status }) => status === 'accepted')
    ? hashAt(keys, days.bucket_today)
    : new Map();
  const extras: Reply[] = [];
  const taken: Buffer[] = [];
  let [answer_at, payload_at] = [0, 0];
  const statuses = decided.map((answer, i) => {
    const { id } = requests[i];
    const answer_next = answer_at + answer_lengths[i];
    const payload_next = payload_at + payload_lengths[i];
    if (answer.status === 'accepted') {
      const head = hashes.subarray(48 * i + 16, 48 * i + 48);
      bucket.set(id, Buffer.concat([head, stamp, answers.subarray(answer_at, answer_next)]));
      taken.push(payloads.subarray(payload_at, payload_next));
      const early = now_ms < field(record, 'opens_at_ms');
      context.told({ kind: 'taken', id, lines: requests[i].lines, early });
    } else if (answer.status === 'replay' || answer.status === 'known') {
      const found = days.find(id);
      extras.push(text(String(found?.day)), found?.bytes ?? null);
    } else if (answer.status === 'limit') {
      extras.push(text(String(answer.held)));
    } else if ('available' in answer) {
      extras.push(text(answer.available.join(',')));
    }
    [answer_at, payload_at] = [answer_next, payload_next];
    return STATUS[answer.status];
  });
  let earliest_ms = field(record, 'earliest_ms');
  if (taken.length > 0) {
    const hold = field(record, 'hold_ms');
    if (earliest_ms === 0) earliest_ms = now_ms + hold;
    const touched = skus.filter((sku) => available.get(sku) !== before.get(sku));
    const header = {
      at: now_ms,
      n: state.applied_n,
      day: days.today,
      hold,
      ...told(touched, available, held),
    };
    append(keys, stream_key, state.seq, 'reserve', header, Buffer.concat(taken));
    record.set('seq', String(state.seq)).set('earliest_ms', String(earliest_ms));
  }
  const head = reply(
    'done',
    now_ms,
    days.today,
    field(record, 'hold_ms'),
    earliest_ms,
    field(record, 'limit'),
  );
  return [...head, text(statuses.join('')), extras];
};

const apply: Verb = (context, KEYS, ARGV) => {
  const { keys, now_ms } = context;
  const [record_key, available_key, held_key, buyers_key, stream_key] = KEYS;
  const [epoch, , n, earliest_ms] = ARGV.map(Number);
  const hashes = ARGV[4] as Buffer;
  const batch = unpack(ARGV[5] as Buffer) as [string[], number[], number[], number[]];
  const [skus, to_available, from_held, units] = batch;
  const record = keys.hashes.get(record_key);
  const refused = guard(context, record, epoch);
  if (refused || !record) return refused ?? [];
  const available = hashAt(keys, available_key);
  const held = hashAt(keys, held_key);
  const buyers = hashAt(keys, buyers_key);
  const state = stateOf(record, { available, held, buyers });
  const movement = {
    n,
    items: skus.map((sku, i) => ({ sku, to_available: to_available[i], from_held: from_held[i] })),
    buyers: units.map((count, i) => ({ buyer: counterAt(hashes, 16 * i), units: count })),
  };
  const done = applyModel(state, movement);
  if (done === 'already') return reply('already');
  if (done !== 'applied') {
    record.set('recovery', 'recovering');
    return refusal(record, 'impossible');
  }
  append(keys, stream_key, state.seq, 'apply', { at: now_ms, n, ...told(skus, available, held) });
  record.set('seq', String(state.seq)).set('applied_n', String(n)).set('earliest_ms', String(earliest_ms));
  context.told({ kind: 'applied', n });
  return reply('applied');
};

const reduce: Verb = (context, KEYS, ARGV) => {
  const { keys, now_ms } = context;
  const [record_key, available_key, held_key, stream_key] = KEYS;
  const [epoch, , first_day] = ARGV.map(Number);
  const [id, fingerprint] = [latin1(ARGV[3]), ARGV[4] as Buffer];
  const [skus, qtys] = unpack(ARGV[6] as Buffer) as [string[], number[]];
  const record = keys.hashes.get(record_key);
  const refused = guard(context, record, epoch);
  if (refused || !record) return refused ?? [];
  const days = bucketsOf(context, KEYS, 4, first_day);
  if (!days) return offClock(context, record);
  const found = days.find(id);
  const records = new Map<string, StockRecord>();
  if (found) {
    const taken = (unpack(found.bytes.subarray(16)) as number[]).map((qty, i) => ({ sku: skus[i], qty }));
    records.set(id, { fingerprint: latin1(found.bytes.subarray(0, 16)), taken });
  }
  const available = hashAt(keys, available_key);
  const held = hashAt(keys, held_key);
  const state = stateOf(record, { available, held, records });
  const items = skus.map((sku, i) => ({ sku, qty: qtys[i] }));
  const done = reduceModel(state, { id, fingerprint: latin1(fingerprint), items });
  switch (done.status) {
    case 'key_reused':
      return reply('mismatch');
    case 'unknown_sku':
      return reply('unknown_sku');
    case 'recovering':
      throw new Error('the guard had let it pass');
    case 'replay':
      return [text('replay'), ...done.taken];
    case 'taken': {
      const header = { at: now_ms, n: state.applied_n, ...told(skus, available, held) };
      append(keys, stream_key, state.seq, 'reduce', {
        ...header,
        request_id: latin1(ARGV[5]),
        taken: done.taken,
      });
      hashAt(keys, days.bucket_today).set(id, Buffer.concat([fingerprint, pack(done.taken)]));
      record.set('seq', String(state.seq));
      context.told({ kind: 'reduced', id, lines: skus.map((sku, i) => ({ sku, qty: done.taken[i] })) });
      return [text('taken'), ...done.taken];
    }
  }
};

const gate: Verb = (context, KEYS, ARGV) => {
  const [record_key, stream_key] = KEYS;
  const [epoch, , version] = ARGV.map(Number);
  const record = context.keys.hashes.get(record_key);
  const refused = guard(context, record, epoch);
  if (refused || !record) return refused ?? [];
  return reply(setGate(context, record, stream_key, version, latin1(ARGV[3]) as Gate));
};

/** lua/lib/gate.lua. The record's recovery gate is open, or about to be. */
function setGate(
  { keys, now_ms, told: tell }: VerbContext,
  record: Hash,
  stream_key: string,
  version: number,
  wanted: Gate,
): 'set' | 'already' {
  const state: StockState = {
    ...stateOf(record, { available: new Map(), held: new Map() }),
    recovery: 'open',
  };
  if (gateModel(state, { gate: wanted, version }) === 'already') return 'already';
  const header = { at: now_ms, n: state.applied_n, ...told([], record, record), gate: wanted, version };
  append(keys, stream_key, state.seq, 'gate', header);
  record.set('seq', String(state.seq)).set('gate', wanted).set('gate_version', String(version));
  tell({ kind: 'gate', gate: wanted });
  return 'set';
}

const load: Verb = ({ keys, now_ms }, KEYS, ARGV) => {
  const [record_key, stream_key, ...staged] = KEYS;
  if (keys.hashes.has(record_key)) return reply('exists');
  const incomplete = staged.some((key) => (keys.hashes.get(key)?.size ?? 0) !== Number(ARGV[2]));
  if (incomplete) {
    for (const key of staged) keys.hashes.delete(key);
    return reply('incomplete');
  }
  const record = hashAt(keys, record_key);
  append(keys, stream_key, 1, 'load', { at: now_ms, n: 0, ...told([], record, record) });
  record.set('epoch', latin1(ARGV[0])).set('generation', latin1(ARGV[1]));
  record.set('identity', '').set('recovery', 'recovering');
  record.set('seq', '1').set('applied_n', '0').set('earliest_ms', '0');
  for (let i = 3; i < ARGV.length; i += 2) record.set(latin1(ARGV[i]), ARGV[i + 1]);
  return reply('loaded');
};

const load_items: Verb = ({ keys }, KEYS, ARGV) => {
  const [record_key, available_key, held_key, catalog_key] = KEYS;
  const [skus, qtys, entries] = unpack(ARGV[0] as Buffer) as [string[], number[], unknown[]];
  if (keys.hashes.has(record_key)) return reply('exists');
  skus.forEach((sku, i) => {
    hashAt(keys, available_key).set(sku, qtys[i]);
    hashAt(keys, held_key).set(sku, 0);
    hashAt(keys, catalog_key).set(sku, pack(entries[i]));
  });
  return reply('staged');
};

const fence: Verb = ({ keys }, KEYS) => {
  const record = keys.hashes.get(KEYS[0]);
  if (!record) return reply('missing');
  record.set('recovery', 'recovering');
  return reply('fenced');
};

const verify: Verb = (context, KEYS, ARGV) => {
  const { keys, identity } = context;
  const [record_key, stream_key] = KEYS;
  const record = keys.hashes.get(record_key);
  if (!record?.has('epoch')) return reply('missing');
  const [old_epoch, seq, applied_n, checked, epoch, version, wanted] = ARGV.map(latin1);
  const same =
    String(record.get('epoch')) === old_epoch &&
    String(record.get('seq')) === seq &&
    String(record.get('applied_n')) === applied_n &&
    identity === checked &&
    Number(epoch) > Number(record.get('epoch'));
  if (!same) return reply('changed');
  setGate(context, record, stream_key, Number(version), wanted as Gate);
  record.set('epoch', epoch).set('identity', checked).set('recovery', 'open');
  return reply('opened');
};

const read: Verb = ({ keys, now_ms, identity }, KEYS, ARGV) => {
  const [record_key, stream_key] = KEYS;
  const [after_seq, count] = ARGV.map(Number);
  const record = readHash(keys, record_key);
  const fields = [...record].flatMap(([name, value]) => [text(name), bulk(value)]);
  const entries = record.size > 0 ? (keys.streams.get(stream_key) ?? []) : [];
  const from = entries.findIndex((entry) => seqOf(entry) > after_seq);
  const found = from < 0 ? [] : entries.slice(from, from + count);
  return [...reply(now_ms, identity), fields, found];
};

const claim: Verb = ({ keys, now_ms, identity }, KEYS, ARGV) => {
  const record = keys.hashes.get(KEYS[0]);
  if (!record?.has('epoch')) return reply('missing', now_ms, identity);
  if (latin1(record.get('route') ?? '') !== latin1(ARGV[1])) return reply('foreign');
  if (field(record, 'epoch') > Number(ARGV[0])) return reply('late');
  record.set('recovery', 'recovering').set('epoch', latin1(ARGV[0]));
  return reply('claimed', now_ms, identity, field(record, 'seq'), field(record, 'generation'));
};

const stage_begin: Verb = ({ keys, identity }, KEYS, ARGV) => {
  const [record_key, marker_key, ...targets] = KEYS;
  const epoch = latin1(ARGV[0]);
  const record = keys.hashes.get(record_key);
  const marked = keys.hashes.get(marker_key)?.get('epoch');
  const in_use = record?.has('epoch') && field(record, 'epoch') >= Number(epoch);
  if (in_use || (marked !== undefined && Number(marked) > Number(epoch))) return reply('late');
  for (const key of [marker_key, ...targets]) {
    keys.hashes.delete(key);
    keys.streams.delete(key);
  }
  hashAt(keys, marker_key).set('epoch', epoch).set('identity', identity);
  return reply('begun', identity);
};

const stage: Verb = ({ keys }, KEYS, ARGV) => {
  const [marker_key, target] = KEYS;
  if (keys.hashes.get(marker_key)?.get('epoch') !== latin1(ARGV[0])) return reply('gone');
  const counts = /:(available|held|buyers)$/.test(target);
  const hash = hashAt(keys, target);
  for (let i = 2; i < ARGV.length; i += 2)
    hash.set(latin1(ARGV[i]), counts ? Number(ARGV[i + 1]) : ARGV[i + 1]);
  return reply('staged');
};

const switch_over: Verb = ({ keys, now_ms, identity, told: tell }, KEYS, ARGV) => {
  const [record_key, marker_key, , , , , stream_key] = KEYS;
  const [epoch, generation, checked, old_seq, start_seq, applied_n] = ARGV.slice(0, 6).map(latin1);
  const counts = unpack(ARGV[7] as Buffer) as number[];
  const record = keys.hashes.get(record_key);
  if (record?.has('epoch')) {
    const [now_epoch, now_generation] = [String(record.get('epoch')), String(record.get('generation'))];
    if (now_epoch === epoch && now_generation === generation) return reply('already');
    if (Number(now_epoch) >= Number(epoch)) return reply('late');
    const open = record.get('recovery') === 'open' && record.get('identity') === identity;
    if (String(record.get('seq')) !== old_seq || open) return reply('changed');
  }
  const marker = keys.hashes.get(marker_key);
  const whole = marker?.get('epoch') === epoch && marker.get('identity') === checked && checked === identity;
  if (!whole) return reply('gone');
  const staged = KEYS.slice(2).filter((key) => key !== stream_key);
  if (staged.some((key, i) => readHash(keys, key).size !== counts[i])) return reply('gone');
  const fresh: Hash = new Map();
  for (let i = 8; i < ARGV.length; i += 2) fresh.set(latin1(ARGV[i]), ARGV[i + 1]);
  const seq = Number(start_seq) + 1;
  const gate_now = { gate: latin1(fresh.get('gate') ?? ''), version: field(fresh, 'gate_version') };
  const header = { at: now_ms, n: Number(applied_n), ...told([], fresh, fresh), ...gate_now };
  append(keys, stream_key, seq, 'rebuild', {
    ...header,
    epoch: Number(epoch),
    generation: Number(generation),
  });
  fresh.set('epoch', epoch).set('generation', generation).set('identity', checked);
  fresh.set('recovery', 'recovering').set('seq', String(seq)).set('applied_n', applied_n);
  keys.hashes.set(record_key, fresh);
  tell({ kind: 'gate', gate: gate_now.gate });
  keys.hashes.delete(marker_key);
  return reply('switched');
};

export const VERBS: Readonly<Record<string, Verb>> = {
  reserve,
  apply,
  reduce,
  gate,
  load,
  load_items,
  fence,
  verify,
  read,
  claim,
  stage_begin,
  stage,
  switch: switch_over,
};
