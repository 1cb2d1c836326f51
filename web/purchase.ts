/**
 * One press of Buy, followed until it is answered. The Idempotency-Key is made and kept before the first
 * request leaves, and every later one carries the same key and body: so it can be sent as often as it takes,
 * also after a reload, and buys once.
 */
import type { Answer } from './api.ts';
import type { Accepted, CheckoutBody, Problem } from './api-types.ts';

export type Purchase = { key: string; body: CheckoutBody };

export type Settled =
  | { kind: 'bought'; accepted: Accepted }
  | { kind: 'refused'; problem: Problem }
  /** Stopped before there was an answer. `purchase` is still kept. */
  | { kind: 'unsettled'; problem: Problem | undefined };

/** Between two tries. `problem` is absent where no answer came. */
export type Waiting = { tries: number; wait_ms: number; problem: Problem | undefined };

export type PurchaseKeeper = {
  read(): Purchase | undefined;
  write(purchase: Purchase): void;
  clear(): void;
};

export type SettleOptions = {
  send: (body: CheckoutBody, key: string) => Promise<Answer<Accepted>>;
  keeper: PurchaseKeeper;
  onWaiting?: (waiting: Waiting) => void;
  /** Ends the tries; the purchase stays kept. */
  signal?: AbortSignal;
  random?: () => number;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
};

const BACKOFF_MS_MIN = 500;
const BACKOFF_MS_MAX = 10_000;
/** After so many tries without an answer the buyer is asked whether to go on. */
const TRIES_MAX = 30;

const STORED_AS = 'stampede.purchase';

/** Keeps the purchase under way in the tab's storage: it survives a reload, and two tabs don't share it. */
export function keepIn(storage: Storage): PurchaseKeeper {
  return {
    read() {
      const text = storage.getItem(STORED_AS);
      return text ? (JSON.parse(text) as Purchase) : undefined;
    },
    write: (purchase) => storage.setItem(STORED_AS, JSON.stringify(purchase)),
    clear: () => storage.removeItem(STORED_AS),
  };
}

/** A purchase with a key of its own: 128 random bits. */
export function newPurchase(body: CheckoutBody, random = crypto.getRandomValues.bind(crypto)): Purchase {
  const bytes = random(new Uint8Array(16));
  return { key: `web-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`, body };
}

export async function settle(purchase: Purchase, options: SettleOptions): Promise<Settled> {
  const { keeper, signal, random = Math.random, sleep = sleepFor } = options;
  keeper.write(purchase);
  let problem: Problem | undefined;
  for (let tries = 1; tries <= TRIES_MAX && !signal?.aborted; tries++) {
    const answer = await options.send(purchase.body, purchase.key);
    if (answer.kind === 'ok') {
      keeper.clear();
      return { kind: 'bought', accepted: answer.body };
    }
    problem = answer.kind === 'refused' ? answer.problem : undefined;
    const asked_ms = answer.kind === 'refused' ? (answer.retry_after_ms ?? 0) : 0;
    if (problem && !mayPass(problem, asked_ms)) {
      keeper.clear();
      return { kind: 'refused', problem };
    }
    // Waiting at least as long as asked to, and not all at once with everybody else.
    const backoff_ms = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (tries - 1)) * (0.5 + random() / 2);
    const wait_ms = asked_ms > 0 ? asked_ms + random() * 500 : backoff_ms;
    options.onWaiting?.({ tries, wait_ms, problem });
    await sleep(wait_ms, signal);
  }
  return { kind: 'unsettled', problem };
}

/** Nobody watches a page that waits for longer. */
const PATIENCE_MS = 60_000;

/** Refusals that the same request may outlive. All others are final, and the key is done with. */
function mayPass(problem: Problem, asked_ms: number): boolean {
  return problem.status >= 500 || (problem.status === 429 && asked_ms <= PATIENCE_MS);
}

function sleepFor(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done);
    if (signal?.aborted) done();
  });
}
