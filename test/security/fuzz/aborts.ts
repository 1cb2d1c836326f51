/**
 * Clients that leave: each request's connection is gone before its answer, by reset or by a plain end, with all of the
 * request sent or a part of it. A few thousand keys are used again and again, so that in the end everybody asks once
 * more and is heard: what was taken must be what these keys hold, once.
 */
import { connect } from 'node:net';
import { openBooks } from './books.ts';
import { createClient } from './client.ts';
import type { Operation } from './document.ts';
import { createDraw, drawOf } from './draw.ts';
import type { Sent } from './request.ts';
import { BUYERS, type World } from './world.ts';

export type AbortsOptions = {
  world: World;
  aborts: number;
  seed: number;
  connections?: number;
  /** Ends it early; what has been left until then is judged. */
  signal?: AbortSignal;
  progress?: (line: string) => void;
};

export type AbortsResult = {
  seed: number;
  aborts: number;
  seconds: number;
  /** How they left. */
  left: Record<string, number>;
  keys: number;
  orders: number;
  memory_mib: { before: number; after: number };
  faults: string[];
};

const KEYS = 2_000;
/** So many of the addresses of this machine take turns, or its ports would run out. */
const ADDRESSES = 20;

type Way = 'in the head' | 'in the body' | 'before the answer' | 'a moment later' | 'after the next one';

export async function aborts(options: AbortsOptions): Promise<AbortsResult> {
  const { world, aborts: wanted, seed, connections = 64, signal, progress } = options;
  const books = openBooks(world, world.shop.twin);
  const keyed = requestsOf(world, seed);
  const left: Record<Way, number> = {
    ...{
      'in the head': 0,
      'in the body': 0,
      'before the answer': 0,
      'a moment later': 0,
      'after the next one': 0,
    },
  };
  const memory_mib = { before: Math.round(world.memoryKib() / 1_024), after: 0 };
  const faults: string[] = [];
  const began_ms = performance.now();
  let next = 0;

  async function work(): Promise<void> {
    while (next < wanted && world.alive() && !signal?.aborted) {
      const number = next++;
      await leave(number);
      if (number % 50_000 === 49_999)
        progress?.(`${number + 1} left, ${Math.round(world.memoryKib() / 1_024)} MiB`);
    }
  }

  function leave(number: number): Promise<void> {
    const draw = drawOf(seed, number);
    const { bytes, body } = draw.of(keyed);
    const head = bytes.length - body.length;
    const way = draw.weighted<Way>([
      [1, 'in the head'],
      [1, 'in the body'],
      [4, 'before the answer'],
      [3, 'a moment later'],
      [1, 'after the next one'],
    ]);
    left[way] += 1;
    const sent = {
      'in the head': bytes.subarray(0, draw.below(head)),
      'in the body': bytes.subarray(0, head + draw.below(body.length)),
      'before the answer': bytes,
      'a moment later': bytes,
      'after the next one': Buffer.concat([bytes, draw.of(keyed).bytes]),
    }[way];
    const reset = draw.chance(0.8);
    const localAddress = `127.0.0.${1 + draw.below(ADDRESSES)}`;
    return new Promise((resolve) => {
      const socket = connect({ port: world.port, host: '127.0.0.1', localAddress });
      const go = () => (reset ? socket.resetAndDestroy() : socket.destroy());
      socket.once('close', () => resolve());
      socket.on('error', () => {});
      socket.once('connect', () => {
        socket.write(sent);
        if (way === 'a moment later') setTimeout(go, draw.below(4));
        else setImmediate(go);
      });
    });
  }

  await Promise.all(Array.from({ length: connections }, work));
  const seconds = (performance.now() - began_ms) / 1_000;
  if (!world.alive()) faults.push(`a process has ended:\n${world.output().slice(-3_000)}`);
  else {
    const client = createClient(world.port);
    for (const sent of keyed) {
      const outcome = await client.ask(sent.bytes, { bodiless: false, patience_ms: 30_000 });
      if (typeof outcome === 'object' && outcome.status === 201) books.heard(sent, outcome);
      else faults.push(`asked again: ${typeof outcome === 'string' ? outcome : outcome.text}`);
    }
    client.close();
    faults.push(...(await books.faults(120_000)));
    memory_mib.after = Math.round(world.memoryKib() / 1_024);
  }
  return {
    ...{ seed, aborts: next, seconds, left, keys: keyed.length, orders: books.orders(), memory_mib },
    faults: faults.slice(0, 50),
  };
}

type Keyed = Pick<Sent, 'bytes' | 'body' | 'headers'> & Sent;

/** Locks of one or two units, each under its key. */
function requestsOf({ shop, operations }: World, seed: number): Keyed[] {
  const draw = createDraw(seed);
  const operation = operations.find(({ id }) => id === 'lock') as Operation;
  return Array.from({ length: KEYS }, (_, i) => {
    const items = [{ sku: draw.of(['a', 'b']), qty: 1 + draw.below(2) }];
    const body = Buffer.from(JSON.stringify({ sale_id: shop.twin, items }));
    const headers: [string, string][] = [
      ['Host', 'a'],
      ['Content-Type', 'application/json'],
      ['Authorization', `Bearer ${shop.token(`buyer-${i % BUYERS}`, 'buyer')}`],
      ['Idempotency-Key', draw.text(24)],
      ['Content-Length', String(body.length)],
    ];
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const bytes = Buffer.concat([Buffer.from(`POST ${operation.path} HTTP/1.1\r\n${lines}\r\n`), body]);
    return {
      operation,
      kind: 'gone',
      method: 'POST',
      target: operation.path,
      headers,
      body,
      how: 'gone',
      bytes,
    };
  });
}
