/**
 * See open-loop.ts. Timers of Node are good for a millisecond, which is more than an answer of a raw echo takes: so this thread
 * sleeps by itself for a tenth of that between two turns of its event loop. How late requests were nevertheless is told.
 */
import { type Connection, openConnection } from '../../../test/load/connection.ts';
import { idleOfMainThread } from '../cpu.ts';
import { serveLoad } from './forked.ts';
import { createLatencies, percentiles } from './latencies.ts';
import type { OpenLoopLoad, OpenLoopResult } from './open-loop.ts';
import { createRequests } from './requests.ts';

/** What is not answered so long after the last request was due has failed. */
const PATIENCE_MS = 5_000;
const TURN_MS = 0.1;
const nothing = new Int32Array(new SharedArrayBuffer(4));

/** One turn of the event loop that begins after a short sleep. */
function turn(): Promise<void> {
  Atomics.wait(nothing, 0, 0, TURN_MS);
  return new Promise(setImmediate);
}

async function run(load: OpenLoopLoad): Promise<OpenLoopResult> {
  const { rate, seconds } = load;
  const total = Math.floor(rate * seconds);
  const next = textOf(load);
  const latencies = createLatencies(total);
  const late = createLatencies(total);
  const from_sending = createLatencies(total);
  const free: Connection[] = [];
  let [sent, open, not_2xx, failed] = [0, 0, 0, 0];
  let began_ms = Number.POSITIVE_INFINITY;
  const dueAt = (number: number) => began_ms + (number * 1_000) / rate;

  function sendDue(): void {
    for (let now = performance.now(); sent < total && dueAt(sent) <= now; ) {
      // In turn: one that is used by bursts alone would be closed for idleness as a burst comes.
      const connection = free.shift();
      if (!connection) return;
      const due_ms = dueAt(sent++);
      now = performance.now();
      late.add(now - due_ms);
      connection.send(next());
      times.set(connection, { due_ms, sent_ms: now });
    }
  }

  const times = new Map<Connection, { due_ms: number; sent_ms: number }>();
  const { hostname: host, port } = new URL(load.url);

  function connect(): Promise<void> {
    return new Promise((resolve) => {
      const connection = openConnection(
        { host, port: Number(port) },
        {
          ready() {
            open += 1;
            free.push(connection);
            resolve();
          },
          answered({ status, closes }) {
            const now = performance.now();
            const of = times.get(connection);
            times.delete(connection);
            if (of) {
              latencies.add(now - of.due_ms);
              from_sending.add(now - of.sent_ms);
              if (status < 200 || status > 299) not_2xx += 1;
            }
            if (!closes) free.push(connection);
            sendDue();
          },
          gone() {
            open -= 1;
            if (times.delete(connection)) failed += 1;
            const index = free.indexOf(connection);
            if (index >= 0) free.splice(index, 1);
            resolve();
          },
        },
      );
    });
  }

  await Promise.all(Array.from({ length: load.connections }, connect));
  if (open < load.connections) throw new Error(`only ${open} of ${load.connections} connections`);
  const idle = idleOfMainThread();
  began_ms = performance.now();
  const give_up_ms = dueAt(total) + PATIENCE_MS;
  while ((sent < total || times.size > 0) && open > 0 && performance.now() < give_up_ms) {
    sendDue();
    await turn();
  }
  const took_s = (performance.now() - began_ms) / 1_000;
  return {
    requests: latencies.count(),
    seconds: took_s,
    requests_per_s: latencies.count() / took_s,
    not_2xx,
    failed: failed + times.size,
    ...percentiles(latencies),
    client_idle: idle(),
    schedule: {
      offered_per_s: rate,
      ...{ late_p50_ms: late.at(0.5), late_p99_ms: late.at(0.99), sent_p99_ms: from_sending.at(0.99) },
      unsent: total - sent,
    },
  };
}

/** A request as it goes over the wire. */
function textOf(load: OpenLoopLoad): () => string {
  const requests = createRequests(load);
  const { host } = new URL(load.url);
  const head = `POST ${requests.path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nAuthorization: Bearer `;
  return () => {
    const { token, key, body } = requests.next();
    const length = Buffer.byteLength(body);
    return `${head}${token}\r\nIdempotency-Key: ${key}\r\nContent-Length: ${length}\r\n\r\n${body}`;
  };
}

serveLoad(run);
