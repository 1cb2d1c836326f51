/**
 * Delivers the sandbox's events, each until it is answered 2xx: again after half a second, then twice as long each time,
 * up to a minute; signed anew each time, as providers do. At least once, in no particular order. What is not delivered
 * survives a restart by the journal.
 */
import { Agent, request as httpRequest } from 'node:http';
import { OWN, type WebhookRequest, type WireEvent } from './wires/wire.ts';

export type Webhooks = {
  /** `copies`: 1, or more to play a provider that repeats itself. */
  send(event: WireEvent, copies?: number): void;
  waiting(): number;
  close(): void;
};

export type WebhookOptions = {
  /** Where a provider's events go; undefined: nobody is told anything. */
  urlOf: (provider: string) => string | undefined;
  /** In its provider's words; undefined if that one does not tell of it. */
  encode: (event: WireEvent, now_ms: number) => WebhookRequest | undefined;
  /** Called once an event needs no more telling. */
  on_over: (event_id: string) => void;
};

const TIMEOUT_MS = 5_000;
const IN_FLIGHT_MAX = 8;
const WAITING_MAX = 50_000;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 60_000;

type Delivery = { event: WireEvent; url: string; tries: number };

export function createWebhooks(options: WebhookOptions): Webhooks {
  const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT_MAX });
  const ready: Delivery[] = [];
  const timers = new Set<NodeJS.Timeout>();
  let in_flight = 0;
  let closed = false;

  function pump(): void {
    while (!closed && in_flight < IN_FLIGHT_MAX) {
      const delivery = ready.shift();
      if (!delivery) return;
      in_flight += 1;
      void post(delivery).then((accepted) => {
        in_flight -= 1;
        if (accepted) options.on_over(delivery.event.id);
        else later({ ...delivery, tries: delivery.tries + 1 });
        pump();
      });
    }
  }

  function later(delivery: Delivery): void {
    if (closed) return;
    const wait_ms = Math.min(RETRY_MS_MIN * 2 ** (delivery.tries - 1), RETRY_MS_MAX);
    const timer = setTimeout(() => {
      timers.delete(timer);
      ready.push(delivery);
      pump();
    }, wait_ms);
    timers.add(timer);
  }

  function post({ event, url }: Delivery): Promise<boolean> {
    const webhook = options.encode(event, Date.now());
    if (!webhook) return Promise.resolve(true);
    const raw = Buffer.from(webhook.body);
    return new Promise((resolve) => {
      const request = httpRequest(url, {
        method: 'POST',
        agent,
        timeout: TIMEOUT_MS,
        headers: { 'content-type': 'application/json', ...webhook.headers, 'content-length': raw.length },
      });
      request.on('response', (response) => {
        response.resume();
        response.on('error', () => {});
        resolve((response.statusCode ?? 500) < 300);
      });
      request.on('timeout', () => request.destroy());
      request.on('error', () => resolve(false));
      request.end(raw);
    });
  }

  return {
    send(event, copies = 1) {
      const url = options.urlOf(event.payment.provider ?? OWN);
      if (!url || ready.length + timers.size >= WAITING_MAX) return options.on_over(event.id);
      for (let i = 0; i < copies; i++) ready.push({ event, url, tries: 0 });
      pump();
    },
    waiting: () => ready.length + timers.size + in_flight,
    close() {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
      agent.destroy();
    },
  };
}
