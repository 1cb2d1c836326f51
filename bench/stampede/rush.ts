/** All buyers at once: one checkout each, until every one has an answer that is final. */
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';

export type Buyer = { token: string; key: string };

export type Outcome =
  | { kind: 'accepted'; order_id: string }
  | { kind: 'refused'; status: number; code: string }
  /** No answer, or one that says to come back: the same key again is safe. */
  | { kind: 'unanswered'; status: number; code: string };

export type Rush = {
  /** By buyer, in their order. */
  outcomes: Outcome[];
  /** Of every answer, in the order they came. */
  latencies_ms: number[];
  seconds: number;
  /** Requests sent again because they had no final answer. */
  resent: number;
};

export type RushOptions = {
  url: string;
  sale_path: string;
  body: string;
  buyers: readonly Buyer[];
  connections: number;
  /** Told of each final answer. */
  on_outcome: (outcome: Outcome) => void;
};

const ROUNDS_MAX = 20;
const PAUSE_MS = 1_000;
const NO_ANSWER: Outcome = { kind: 'unanswered', status: 0, code: 'no_answer' };

export async function rush(options: RushOptions): Promise<Rush> {
  const outcomes: Outcome[] = options.buyers.map(() => NO_ANSWER);
  const latencies_ms: number[] = [];
  const began_ms = performance.now();
  let resent = 0;
  let last_answer_ms = began_ms;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const waiting = [...outcomes.keys()].filter((index) => outcomes[index]!.kind === 'unanswered');
    if (waiting.length === 0) break;
    if (round > 0) {
      resent += waiting.length;
      await sleep(PAUSE_MS);
    }
    await oneRound(options, waiting, (index, outcome, latency_ms) => {
      outcomes[index] = outcome;
      latencies_ms.push(latency_ms);
      last_answer_ms = performance.now();
      if (outcome.kind !== 'unanswered') options.on_outcome(outcome);
    });
  }
  return { outcomes, latencies_ms, seconds: (last_answer_ms - began_ms) / 1_000, resent };
}

async function oneRound(
  options: RushOptions,
  waiting: readonly number[],
  settle: (index: number, outcome: Outcome, latency_ms: number) => void,
): Promise<void> {
  const connections = Math.min(options.connections, waiting.length);
  let requests = 0;
  const request: autocannon.Request = {
    setupRequest(request, context) {
      const number = requests++ - connections;
      // Each connection first looks at the sale, as a buyer does; so making it is not in the figures.
      if (number < 0) return { ...request, method: 'GET', path: options.sale_path };
      // Wraps around only if a connection broke and its request was lost: a repeated key does no harm.
      const index = waiting[number % waiting.length]!;
      const buyer = options.buyers[index]!;
      Object.assign(context as Sent, { index, sent_ms: performance.now() });
      const headers = {
        authorization: `Bearer ${buyer.token}`,
        'idempotency-key': buyer.key,
        'content-type': 'application/json',
      };
      return { ...request, method: 'POST', path: '/v1/checkout', body: options.body, headers };
    },
    onResponse(status: number, body: string, context: object) {
      const { index, sent_ms } = context as Sent;
      if (index !== undefined) settle(index, outcomeOf(status, body), performance.now() - sent_ms);
    },
  };
  await autocannon({
    url: options.url,
    connections,
    amount: waiting.length + connections,
    timeout: 15,
    sampleInt: 100,
    requests: [request],
  });
}

/** What a connection remembers of its request under way. */
type Sent = { index?: number; sent_ms: number };

function outcomeOf(status: number, text: string): Outcome {
  const body = parse(text);
  const code = typeof body.code === 'string' ? body.code : '';
  if (status === 201 && typeof body.order_id === 'string')
    return { kind: 'accepted', order_id: body.order_id };
  return { kind: status === 429 || status >= 500 ? 'unanswered' : 'refused', status, code };
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
