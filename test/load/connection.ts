/** One HTTP connection of a client that counts: as little work as can be, so that the client is not the limit. */
import { connect, type Socket } from 'node:net';

export type Answer = {
  status: number;
  /** The answer has a Retry-After. */
  retry_after: boolean;
  /** The server closes the connection after it. */
  closes: boolean;
};

export type Connection = {
  /** Sends a request, when the one before is answered. */
  send(bytes: string): void;
  destroy(): void;
};

export type ConnectionEvents = {
  ready(): void;
  answered(answer: Answer): void;
  /** It is gone, or could not be made. Nothing follows. */
  gone(): void;
};

export function openConnection(
  target: { host: string; port: number; local_address?: string },
  on: ConnectionEvents,
): Connection {
  let rest = '';
  let over = false;
  const gone = () => {
    if (over) return;
    over = true;
    on.gone();
  };
  const socket: Socket = connect({
    host: target.host,
    port: target.port,
    localAddress: target.local_address,
    noDelay: true,
  });
  socket.setEncoding('latin1');
  socket.once('connect', on.ready);
  socket.once('error', () => socket.destroy());
  socket.once('close', gone);
  socket.on('data', (text) => {
    rest += text;
    for (;;) {
      const head = rest.indexOf('\r\n\r\n');
      if (head < 0) return;
      const start = rest.slice(0, head).toLowerCase();
      const length = /\r\ncontent-length: (\d+)/.exec(start);
      const end = head + 4 + (length ? Number(length[1]) : 0);
      if (rest.length < end) return;
      rest = rest.slice(end);
      on.answered({
        status: Number(start.slice(9, 12)),
        retry_after: start.includes('\r\nretry-after:'),
        closes: start.includes('\r\nconnection: close'),
      });
    }
  });
  return { send: (bytes) => socket.write(bytes), destroy: () => socket.destroy() };
}

/** A request to reserve one unit, without what differs: `head` + token + `middle` + key + `tail`. */
export function lockRequest(target: { host: string; port: number }, sale_id: string, sku: string) {
  const body = JSON.stringify({ sale_id, items: [{ sku, qty: 1 }] });
  const head = `POST /v1/inventory/lock HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nAuthorization: Bearer `;
  return (token: string, key: string) => `${head}${token}\r\nIdempotency-Key: ${key}\r\n\r\n${body}`;
}
