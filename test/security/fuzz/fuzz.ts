/** Asks the engine everything that its document offers, right and wrong, and judges what it answers. */
import { holdingsOf, openBooks, takesStock } from './books.ts';
import { createClient } from './client.ts';
import { drawOf } from './draw.ts';
import { faultOf } from './judge.ts';
import { drawRequest, KINDS, type Sent } from './request.ts';
import type { World } from './world.ts';

export type FuzzOptions = {
  world: World;
  requests: number;
  seed: number;
  /** The number of the first: one request of a run can be sent again alone. */
  from?: number;
  connections?: number;
  /** Ends it early; what has been asked until then is judged. */
  signal?: AbortSignal;
  progress?: (line: string) => void;
};

export type FuzzResult = {
  seed: number;
  requests: number;
  seconds: number;
  /** Without an answer, where none had to come. */
  unanswered: number;
  statuses: Record<string, number>;
  kinds: Record<string, number>;
  /** By operation: all, and those that succeeded. */
  operations: Record<string, [number, number]>;
  orders: number;
  slowest_ms: number;
  memory_mib: { before: number; after: number };
  faults: string[];
};

/** Faults told of at most. */
const FAULTS_MAX = 50;
const PATIENCE_MS = 30_000;
/** What is damaged may never be answered: the server waits for the rest of it. */
const PATIENCE_DAMAGED_MS = 250;
const DRAIN_MS = 120_000;

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const { world, requests, seed, from = 0, connections = 32, signal, progress } = options;
  const books = openBooks(world);
  const again: Sent[] = [];
  const result: FuzzResult = {
    ...{ seed, requests, seconds: 0, unanswered: 0, statuses: {}, orders: 0, slowest_ms: 0, faults: [] },
    kinds: Object.fromEntries(KINDS.map((kind) => [kind, 0])),
    operations: Object.fromEntries(world.operations.map(({ id }) => [id, [0, 0]])),
    memory_mib: { before: mib(world), after: 0 },
  };
  const began_ms = performance.now();
  const untouched = await holdingsOf(world, world.stranger);
  const events_before = await eventsOf(world);
  let next = from;

  const fault = (number: number, sent: Sent, what: string, answer = '') => {
    if (result.faults.length >= FAULTS_MAX) return;
    const shown = sent.bytes
      .subarray(0, 1_500)
      .toString('latin1')
      .replace(/Bearer \S+/g, 'Bearer ...');
    result.faults.push(
      `request ${number} (${sent.operation.id}, ${sent.kind}): ${what}\n${shown}\n${answer.slice(0, 600)}`,
    );
  };

  async function one(number: number, client: ReturnType<typeof createClient>): Promise<void> {
    const sent = drawRequest(world, drawOf(seed, number));
    result.kinds[sent.kind] += 1;
    result.operations[sent.operation.id][0] += 1;
    if (sent.leaves) {
      await client.leave(sent.bytes.subarray(0, sent.leaves.after_bytes), sent.leaves.after_ms);
      if (takesStock(sent.operation)) again.push(sent);
      result.unanswered += 1;
      return;
    }
    const asked_ms = performance.now();
    const outcome = await client.ask(sent.bytes, {
      bodiless: sent.method === 'HEAD',
      patience_ms: sent.how === 'bytes' ? PATIENCE_DAMAGED_MS : PATIENCE_MS,
    });
    if (typeof outcome === 'string') {
      result.unanswered += 1;
      if (sent.how !== 'bytes' && sent.kind !== 'header')
        fault(number, sent, `${outcome}; before it on this connection: ${client.last}`);
      else if (takesStock(sent.operation)) again.push(sent);
      return;
    }
    if (sent.how !== 'bytes') result.slowest_ms = Math.max(result.slowest_ms, performance.now() - asked_ms);
    const { status } = outcome;
    result.statuses[status] = (result.statuses[status] ?? 0) + 1;
    if (status < 300) result.operations[sent.operation.id][1] += 1;
    books.heard(sent, outcome);
    if (status === 503 && takesStock(sent.operation)) again.push(sent);
    const wrong = faultOf(sent, outcome);
    if (wrong) fault(number, sent, `${status}: ${wrong}`, outcome.text);
  }

  async function work(): Promise<void> {
    const client = createClient(world.port);
    while (next < from + requests && world.alive() && !signal?.aborted) {
      const number = next++;
      await one(number, client);
      if (number % 5_000 === 4_999)
        progress?.(`${number + 1 - from} requests, ${books.orders()} orders, ${result.faults.length} faults`);
    }
    client.close();
  }

  await Promise.all(Array.from({ length: connections }, work));
  result.requests = next - from;
  result.seconds = (performance.now() - began_ms) / 1_000;
  if (!world.alive()) result.faults.push(`a process has ended:\n${world.output().slice(-3_000)}`);
  else await settle();
  result.memory_mib.after = world.alive() ? mib(world) : 0;
  result.orders = books.orders();
  return result;

  /** What nobody has heard of is asked again; then the books are compared. */
  async function settle(): Promise<void> {
    const client = createClient(world.port);
    for (const sent of again) {
      for (let tries = 0; tries < 50; tries++) {
        const patience_ms = sent.how === 'bytes' ? PATIENCE_DAMAGED_MS : PATIENCE_MS;
        const outcome = await client.ask(sent.bytes, { bodiless: false, patience_ms });
        if (typeof outcome === 'string') break;
        books.heard(sent, outcome);
        if (outcome.status !== 503 || /sale_paused/.test(outcome.text)) break;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    client.close();
    result.faults.push(...(await books.faults(DRAIN_MS)).slice(0, FAULTS_MAX));
    if ((await holdingsOf(world, world.stranger)) !== untouched)
      result.faults.push('what is another tenant’s has changed');
    const events = (await eventsOf(world)) - events_before;
    if (events > 0) result.faults.push(`${events} forged events of providers were stored`);
    const failed = world
      .output()
      .split('\n')
      .filter((line) => line.includes('a request failed'));
    for (const line of failed.slice(0, 5)) result.faults.push(`the engine’s log: ${line.slice(0, 1_000)}`);
  }
}

const mib = (world: World): number => Math.round(world.memoryKib() / 1_024);

/** Signed by nobody: the sandbox sends none while nobody pays. Those of its own are told by their bodies. */
async function eventsOf({ db }: World): Promise<number> {
  const { rows } = await db.query(`SELECT count(*)::int AS n FROM psp_events WHERE length(body->>'id') = 10`);
  return rows[0].n;
}
