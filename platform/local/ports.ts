/** Loopback ports. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the range that systems take for outgoing connections: there, a client that tries again and again
 * to reach a server that is down may get the server's port as its own, and keep it from starting.
 */
const FIRST = 20_000;
const COUNT = 10_000;

/** A port that is free now: `wanted` if it is. */
export async function freePort(wanted?: number): Promise<number> {
  if (wanted && (await portIsFree(wanted))) return wanted;
  for (;;) {
    const port = FIRST + randomInt(COUNT);
    if (await portIsFree(port)) return port;
  }
}

/** True if nothing listens on host:port now. */
export function portIsFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
