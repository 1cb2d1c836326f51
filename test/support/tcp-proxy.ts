/**
 * A TCP proxy on loopback that breaks connections on demand: what a network does, between a real client and a
 * real server.
 */

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

export type TcpProxy = {
  port: number;
  /** The next `count` times the server sends something, nothing of it arrives and the connection is reset. */
  loseReplies(count: number): void;
  /** Resets every open connection now. */
  resetAll(): void;
  close(): Promise<void>;
};

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const pairs = new Set<[Socket, Socket]>();
  let to_lose = 0;
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    const pair: [Socket, Socket] = [client, upstream];
    pairs.add(pair);
    const reset = () => {
      pairs.delete(pair);
      client.resetAndDestroy();
      upstream.destroy();
    };
    client.on('data', (bytes) => upstream.write(bytes));
    upstream.on('data', (bytes) => {
      if (to_lose > 0) {
        to_lose -= 1;
        reset();
      } else {
        client.write(bytes);
      }
    });
    for (const socket of pair) socket.on('error', reset).on('close', reset);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const resetAll = () => {
    for (const [client] of pairs) client.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    loseReplies: (count) => {
      to_lose = count;
    },
    resetAll,
    close: () => {
      resetAll();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
