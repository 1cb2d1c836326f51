/**
 * A TCP proxy on loopback that breaks connections on demand: what a network does, between a real client and a
 * real server. Bytes of one direction never overtake each other, whatever happens in between.
 */

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

export type Target = { host: string; port: number };

export type ProxyTrouble =
  /** The other side is gone without a word: nothing passes, nobody is told. What is open then is reset when it heals. */
  | { kind: 'half_open' }
  /** Everything arrives so much later, in both directions. */
  | { kind: 'delay'; delay_ms: number }
  /** One direction (`up`: to the server) stands still; what was sent meanwhile arrives when it heals. */
  | { kind: 'cut'; direction: 'up' | 'down' };

export type TcpProxy = {
  port: number;
  /** The next `count` times the server sends something, nothing of it arrives and the connection is reset. */
  loseReplies(count: number): void;
  /** Resets every open connection now. */
  resetAll(): void;
  /** Connections made from now on lead there. Those that are open stay where they are. */
  retarget(target: Target): void;
  /** Begins a trouble; returns what heals it. One at a time. */
  trouble(trouble: ProxyTrouble): () => void;
  close(): Promise<void>;
};

type Lane = { send(bytes: Buffer): void; end(): void; hold(): void; flow(): void };
type Pair = { client: Socket; upstream?: Socket; up: Lane; down: Lane; silent: boolean };

export async function startTcpProxy(first: Target): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let target = first;
  let to_lose = 0;
  let trouble: ProxyTrouble | undefined;
  const delay_ms = () => (trouble?.kind === 'delay' ? trouble.delay_ms : 0);
  const isCut = (direction: 'up' | 'down') => trouble?.kind === 'cut' && trouble.direction === direction;

  const reset = (pair: Pair) => {
    pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.upstream?.destroy();
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const silent = trouble?.kind === 'half_open';
    const upstream = silent
      ? undefined
      : connect({ ...target, noDelay: true, allowHalfOpen: true } as Target & { noDelay: boolean });
    const pair: Pair = {
      ...{ client, upstream, silent },
      up: lane(() => upstream, delay_ms),
      down: lane(() => client, delay_ms),
    };
    if (isCut('up')) pair.up.hold();
    if (isCut('down')) pair.down.hold();
    pairs.add(pair);
    client.on('data', (bytes) => pair.silent || pair.up.send(bytes));
    client.on('end', () => pair.silent || pair.up.end());
    client.on('error', () => pair.silent || reset(pair));
    client.on('close', () => pair.silent || pair.up.end());
    upstream?.on('data', (bytes) => {
      if (pair.silent) return;
      if (to_lose > 0) {
        to_lose -= 1;
        reset(pair);
      } else pair.down.send(bytes);
    });
    upstream?.on('end', () => pair.silent || pair.down.end());
    upstream?.on('error', () => pair.silent || reset(pair));
    upstream?.on('close', () => {
      if (pair.silent) return;
      pair.down.end();
      if (client.destroyed) pairs.delete(pair);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const resetAll = () => {
    for (const pair of pairs) reset(pair);
  };

  return {
    port: (server.address() as AddressInfo).port,
    loseReplies: (count) => {
      to_lose = count;
    },
    resetAll,
    retarget: (next) => {
      target = next;
    },
    trouble(begun) {
      trouble = begun;
      for (const pair of pairs) {
        if (begun.kind === 'half_open') pair.silent = true;
        if (begun.kind === 'cut') pair[begun.direction].hold();
      }
      return () => {
        if (trouble !== begun) return;
        trouble = undefined;
        for (const pair of pairs) {
          if (pair.silent) reset(pair);
          else {
            pair.up.flow();
            pair.down.flow();
          }
        }
      };
    },
    close: () => {
      trouble = undefined;
      resetAll();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** One direction of a connection: a queue, each piece with the moment from which it may go out. */
function lane(to: () => Socket | undefined, delay_ms: () => number): Lane {
  const queue: { bytes?: Buffer; due_ms: number }[] = [];
  let held = false;
  let timer: NodeJS.Timeout | undefined;

  function pump(): void {
    while (!held && queue.length > 0) {
      const wait_ms = (queue[0] as { due_ms: number }).due_ms - performance.now();
      if (wait_ms > 0) {
        if (!timer) {
          timer = setTimeout(() => {
            timer = undefined;
            pump();
          }, wait_ms);
          timer.unref();
        }
        return;
      }
      const { bytes } = queue.shift() as { bytes?: Buffer };
      const socket = to();
      if (bytes) {
        if (socket && !socket.destroyed && !socket.writableEnded) socket.write(bytes);
      } else socket?.end();
    }
  }

  const push = (bytes?: Buffer) => {
    const delay = delay_ms();
    queue.push({ bytes, due_ms: delay > 0 ? performance.now() + delay : 0 });
    pump();
  };
  return {
    send: push,
    end: () => push(),
    hold: () => {
      held = true;
    },
    flow() {
      held = false;
      for (const piece of queue) piece.due_ms = 0;
      pump();
    },
  };
}
