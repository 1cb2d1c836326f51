/**
 * A few buyers who come when they come: so many requests a second, whatever became of those before (an open loop). How long
 * each took counts from when it was due. They are the measure; the crowd is only the load.
 */
import { type Connection, lockRequest, openConnection } from './connection.ts';
import { createTally, type Tally } from './tally.ts';

export type ProbeOptions = {
  host: string;
  port: number;
  sale_id: string;
  sku: string;
  tokens: readonly string[];
  rate_per_second: number;
  key_prefix: string;
  local_address?: string;
};

/** `end` waits for what is under way, for at most `patience_ms`. */
export function startProbe(options: ProbeOptions): {
  /** How many were told 503 so far. */
  refused(): number;
  end(patience_ms?: number): Promise<Tally>;
} {
  const tally = createTally();
  const request = lockRequest(options, options.sale_id, options.sku);
  const idle: Lane[] = [];
  const lanes = new Set<Lane>();
  const began_ms = performance.now();
  let sent = 0;
  let under_way = 0;
  let refused = 0;

  type Lane = { connection: Connection; due_ms: number; busy: boolean; next?: string };

  function addLane(due_ms: number, text: string): void {
    const lane: Lane = {
      due_ms,
      busy: true,
      next: text,
      connection: openConnection(options, {
        ready() {
          if (lane.next) lane.connection.send(lane.next);
          lane.next = undefined;
        },
        answered(answer) {
          lane.busy = false;
          under_way -= 1;
          if (answer.status === 503) refused += 1;
          tally.answered(answer, performance.now() - lane.due_ms);
          if (answer.closes) lane.connection.destroy();
          else idle.push(lane);
        },
        gone() {
          lanes.delete(lane);
          const at = idle.indexOf(lane);
          if (at >= 0) idle.splice(at, 1);
          if (lane.busy) {
            under_way -= 1;
            tally.broken();
          }
        },
      }),
    };
    lanes.add(lane);
  }

  function send(due_ms: number): void {
    sent += 1;
    under_way += 1;
    const token = options.tokens[sent % options.tokens.length] ?? '';
    const text = request(token, `${options.key_prefix}-${sent.toString(36).padStart(12, '0')}`);
    const lane = idle.pop();
    if (!lane) {
      addLane(due_ms, text);
      return;
    }
    lane.due_ms = due_ms;
    lane.busy = true;
    lane.connection.send(text);
  }

  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - began_ms) / 1_000) * options.rate_per_second);
    while (sent < due) send(began_ms + ((sent + 1) * 1_000) / options.rate_per_second);
  }, 2);

  return {
    refused: () => refused,
    async end(patience_ms = 10_000) {
      clearInterval(timer);
      const until = performance.now() + patience_ms;
      while (under_way > 0 && performance.now() < until)
        await new Promise((resolve) => setTimeout(resolve, 10));
      for (const lane of lanes) {
        // Whoever has no answer by now counts as broken off.
        lane.connection.destroy();
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
      return tally.read();
    },
  };
}
