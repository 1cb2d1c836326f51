/**
 * The stock rule as a pure model: the twin of the verbs in lua/, in a form that can be read in a minute.
 * A test drives both with the same random commands and holds them equal; the simulation builds on it.
 *
 * Hashes are strings here, time comes from outside, and nothing is mutated that the caller did not pass.
 */
import { effectiveGate, type GateTimes } from './gate.ts';
import type { Line } from './types.ts';

export type StockState = GateTimes & {
  /** Units a buyer may hold and own, 0 for none. */
  limit: number;
  recovery: 'open' | 'recovering';
  seq: number;
  applied_n: number;
  gate_version: number;
  available: Map<string, number>;
  /** Held by reservations that are neither confirmed nor released. */
  held: Map<string, number>;
  /** Units per buyer, held and owned; no entry is 0. */
  buyers: Map<string, number>;
  /** What each known request took, under its id. */
  records: Map<string, StockRecord>;
};

export type StockRecord = { fingerprint: string; taken: readonly Line[] };

export type StockRequest = {
  id: string;
  fingerprint: string;
  buyer: string;
  lines: readonly Line[];
  /** Is decided like any other, and takes nothing. */
  question?: boolean;
};

export type StockAnswer =
  | { status: 'accepted' }
  | { status: 'replay' }
  | { status: 'key_reused' }
  /** Of a question: it has been answered before; it would be accepted. */
  | { status: 'known' | 'whole_wanted' }
  | { status: 'late' | 'not_open' | 'closed' | 'paused' | 'unknown_sku' }
  | { status: 'limit'; held: number }
  | { status: 'sold_out' | 'temporarily_held'; available: number[] };

const GATE_ANSWERS = { scheduled: 'not_open', closed: 'closed', paused: 'paused' } as const;

/** One batch. Answers in the order of the requests; 'recovering' takes nothing. */
export function reserveModel(
  state: StockState,
  requests: readonly StockRequest[],
  times: { now_ms: number; not_after_ms: number },
): StockAnswer[] | 'recovering' {
  if (state.recovery !== 'open') return 'recovering';
  const answers = requests.map((request) => reserveOne(state, request, times));
  if (answers.some((answer) => answer.status === 'accepted')) state.seq += 1;
  return answers;
}

/** The order of checks is the contract: known request, deadline, gate, known SKUs, limit, stock. */
function reserveOne(
  state: StockState,
  request: StockRequest,
  times: { now_ms: number; not_after_ms: number },
): StockAnswer {
  const record = state.records.get(request.id);
  if (record && request.question) return { status: 'known' };
  if (record) return { status: record.fingerprint === request.fingerprint ? 'replay' : 'key_reused' };
  if (times.now_ms > times.not_after_ms) return { status: 'late' };
  const gate = effectiveGate(state, times.now_ms);
  if (gate !== 'open') return { status: GATE_ANSWERS[gate] };

  if (!request.lines.every(({ sku }) => state.available.has(sku))) return { status: 'unknown_sku' };
  const units = request.lines.reduce((sum, line) => sum + line.qty, 0);
  const owned = state.buyers.get(request.buyer) ?? 0;
  if (state.limit > 0 && owned + units > state.limit) return { status: 'limit', held: owned };

  const refusal = stockRefusal(state, request.lines);
  if (refusal) return refusal;
  if (request.question) return { status: 'whole_wanted' };
  for (const { sku, qty } of request.lines) {
    add(state.available, sku, -qty);
    add(state.held, sku, qty);
  }
  if (state.limit > 0) add(state.buyers, request.buyer, units);
  state.records.set(request.id, { fingerprint: request.fingerprint, taken: request.lines });
  return { status: 'accepted' };
}

/** THE OVERSELL RULE: all lines together must be covered by what is available, or nothing is taken. */
function stockRefusal(state: StockState, lines: readonly Line[]): StockAnswer | undefined {
  const wanted = new Map<string, number>();
  for (const { sku, qty } of lines) add(wanted, sku, qty);
  const short = [...wanted].filter(([sku, qty]) => qty > at(state.available, sku));
  if (short.length === 0) return undefined;
  // Held units may come back: it is sold out only if even they would not do.
  const hopeless = short.some(([sku, qty]) => qty > at(state.available, sku) + at(state.held, sku));
  return {
    status: hopeless ? 'sold_out' : 'temporarily_held',
    available: lines.map(({ sku }) => at(state.available, sku)),
  };
}

export type MovementModel = {
  n: number;
  items: readonly { sku: string; to_available: number; from_held: number }[];
  buyers: readonly { buyer: string; units: number }[];
};

/** Movements take effect once and in order; a gap, or a count below zero, fences the sale and changes nothing. */
export function applyModel(
  state: StockState,
  batch: MovementModel,
): 'applied' | 'already' | 'recovering' | 'impossible' {
  if (state.recovery !== 'open') return 'recovering';
  if (batch.n <= state.applied_n) return 'already';
  const possible =
    batch.n === state.applied_n + 1 &&
    batch.items.every(({ sku, from_held }) => state.available.has(sku) && at(state.held, sku) >= from_held) &&
    batch.buyers.every(({ buyer, units }) => (state.buyers.get(buyer) ?? 0) >= units);
  if (!possible) {
    state.recovery = 'recovering';
    return 'impossible';
  }
  for (const { sku, to_available, from_held } of batch.items) {
    add(state.available, sku, to_available);
    add(state.held, sku, -from_held);
  }
  for (const { buyer, units } of batch.buyers) {
    add(state.buyers, buyer, -units);
    if (state.buyers.get(buyer) === 0) state.buyers.delete(buyer);
  }
  state.applied_n = batch.n;
  state.seq += 1;
  return 'applied';
}

/** Takes out at most what is available of each SKU; returns what it took. */
export function reduceModel(
  state: StockState,
  request: { id: string; fingerprint: string; items: readonly Line[] },
): { status: 'taken' | 'replay'; taken: number[] } | { status: 'key_reused' | 'unknown_sku' | 'recovering' } {
  if (state.recovery !== 'open') return { status: 'recovering' };
  const record = state.records.get(request.id);
  if (record && record.fingerprint !== request.fingerprint) return { status: 'key_reused' };
  if (record) return { status: 'replay', taken: record.taken.map((line) => line.qty) };
  if (!request.items.every(({ sku }) => state.available.has(sku))) return { status: 'unknown_sku' };
  const taken = request.items.map(({ sku, qty }) => ({ sku, qty: Math.min(qty, at(state.available, sku)) }));
  for (const { sku, qty } of taken) add(state.available, sku, -qty);
  state.records.set(request.id, { fingerprint: request.fingerprint, taken });
  state.seq += 1;
  return { status: 'taken', taken: taken.map((line) => line.qty) };
}

export function gateModel(
  state: StockState,
  wanted: { gate: GateTimes['gate']; version: number },
): 'set' | 'already' | 'recovering' {
  if (state.recovery !== 'open') return 'recovering';
  if (wanted.version <= state.gate_version) return 'already';
  state.gate = wanted.gate;
  state.gate_version = wanted.version;
  state.seq += 1;
  return 'set';
}

function at(counts: Map<string, number>, sku: string): number {
  return counts.get(sku) ?? 0;
}

function add(counts: Map<string, number>, sku: string, qty: number): void {
  counts.set(sku, at(counts, sku) + qty);
}
