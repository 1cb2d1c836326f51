/**
 * So many slow clients: half of them never finish their headers, half never finish a body, each sends a few bytes now and
 * then. From many addresses of this machine, so many from each. Who is thrown out comes again.
 */
import { connect, type Socket } from 'node:net';

export type SlowOptions = {
  host: string;
  port: number;
  sockets: number;
  per_address: number;
  /** Between two pieces of one socket, ms. */
  every_ms: number;
  token: string;
};

const PAUSE_MS = 100;

function run(options: SlowOptions): void {
  const open = new Set<Socket>();
  let thrown_out = 0;

  function join(i: number): void {
    const group = Math.floor(i / options.per_address);
    const socket = connect({
      host: options.host,
      port: options.port,
      // 127.0.0.0/8 is all ours.
      localAddress: `127.0.${1 + (group >> 8)}.${1 + (group & 0xff)}`,
    });
    let timer: NodeJS.Timeout | undefined;
    socket.once('connect', () => {
      open.add(socket);
      socket.write(
        i % 2 === 0
          ? `GET /v1/sales/slow HTTP/1.1\r\nHost: slow\r\nX-A: `
          : `POST /v1/inventory/lock HTTP/1.1\r\nHost: slow\r\nAuthorization: Bearer ${options.token}\r\nIdempotency-Key: slow-${i}-0123456789\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{"sale_id":"`,
      );
      timer = setInterval(() => socket.write('a'), options.every_ms);
    });
    socket.on('error', () => socket.destroy());
    socket.resume();
    socket.once('close', () => {
      clearInterval(timer);
      open.delete(socket);
      thrown_out += 1;
      setTimeout(() => join(i), PAUSE_MS * (1 + Math.random()));
    });
  }

  // Not all in one turn: a listen queue has its length.
  let next = 0;
  const start = setInterval(() => {
    for (let n = 0; n < 200 && next < options.sockets; n++) join(next++);
    if (next === options.sockets) clearInterval(start);
  }, 20);
  setInterval(() => process.send?.({ open: open.size, thrown_out }), 100);
}

process.once('message', (options: SlowOptions) => run(options));
process.once('disconnect', () => process.exit(0));
