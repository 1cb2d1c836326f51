/**
 * Stock as it falls. Pushed over a WebSocket; while there is none, asked for. Even with one the whole sale is
 * read now and then: that keeps the clock, and mends whatever a lost message left behind.
 */
import type { SaleState } from './api-types.ts';

export type StockUpdate = { state?: SaleState; items: { sku: string; available: number; held: number }[] };

export type Link = 'live' | 'polling';

export type LiveOptions = {
  /** Absent where nothing is pushed to this visitor. */
  url: string | undefined;
  onUpdate: (update: StockUpdate) => void;
  onLink: (link: Link) => void;
  /** Reads the sale and shows it. */
  poll: () => Promise<void>;
  hidden?: () => boolean;
};

const RECONNECT_MS_MIN = 500;
const RECONNECT_MS_MAX = 15_000;
/** A connection that held this long counts as good: the next reconnect is quick again. */
const STEADY_MS = 10_000;
/** A connection that is never made is given up. */
const CONNECT_MS_MAX = 8_000;
const POLL_MS = 2_000;
const POLL_LIVE_MS = 20_000;

export function followLive(options: LiveOptions): { stop(): void } {
  const { hidden = () => document.hidden } = options;
  let socket: WebSocket | undefined;
  let reconnect: ReturnType<typeof setTimeout> | undefined;
  let polling: ReturnType<typeof setTimeout> | undefined;
  let backoff_ms = RECONNECT_MS_MIN;
  let link: Link | undefined;
  let stopped = false;

  function say(next: Link): void {
    if (link === next) return;
    link = next;
    options.onLink(next);
    planPoll();
  }

  function connect(url: string): void {
    const mine = new WebSocket(url);
    socket = mine;
    let opened_ms = 0;
    const hopeless = setTimeout(() => mine.close(), CONNECT_MS_MAX);
    mine.onopen = () => {
      clearTimeout(hopeless);
      opened_ms = performance.now();
    };
    mine.onmessage = ({ data }) => {
      const update = readUpdate(data);
      if (!update) return;
      say('live');
      options.onUpdate(update);
    };
    mine.onclose = () => {
      clearTimeout(hopeless);
      if (stopped) return;
      say('polling');
      if (opened_ms > 0 && performance.now() - opened_ms > STEADY_MS) backoff_ms = RECONNECT_MS_MIN;
      reconnect = setTimeout(connect, backoff_ms * (0.5 + Math.random() / 2), url);
      backoff_ms = Math.min(RECONNECT_MS_MAX, backoff_ms * 2);
    };
  }

  function planPoll(): void {
    clearTimeout(polling);
    if (stopped) return;
    // Not all at once with everybody else.
    const ms = (link === 'live' ? POLL_LIVE_MS : POLL_MS) * (0.75 + Math.random() / 2);
    polling = setTimeout(() => void (hidden() ? Promise.resolve() : options.poll()).then(planPoll), ms);
  }

  if (options.url) connect(options.url);
  else say('polling');
  planPoll();
  return {
    stop() {
      stopped = true;
      clearTimeout(reconnect);
      clearTimeout(polling);
      socket?.close();
    },
  };
}

/** A message of the engine, or undefined for what the page does not know. */
export function readUpdate(data: unknown): StockUpdate | undefined {
  try {
    const update = JSON.parse(String(data)) as StockUpdate;
    return Array.isArray(update.items) ? update : undefined;
  } catch {
    return undefined;
  }
}
