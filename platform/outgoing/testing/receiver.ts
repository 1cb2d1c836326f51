/** A merchant's server: takes requests, remembers them, and answers as a test says. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Authority } from './authority.ts';

export type Received = { path: string; headers: IncomingHttpHeaders; body: string; at_ms: number };

export type Answer = { status: number; headers?: Record<string, string>; body?: string | Buffer };

export type Receiver = {
  port: number;
  received: Received[];
  /** How many connections were opened. */
  connections(): number;
  /** Answers from now on: a status, an answer, or what to do with the response itself. Default: 204. */
  answer(
    how:
      | number
      | ((
          request: Received,
          response: ServerResponse,
        ) => Answer | number | Promise<Answer | number> | undefined),
  ): void;
  close(): Promise<void>;
};

export async function startReceiver(authority?: Authority, port = 0): Promise<Receiver> {
  const received: Received[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let how: Parameters<Receiver['answer']>[0] = 204;
  const server = authority ? createTlsServer({ key: authority.key, cert: authority.cert }) : createServer();
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  server.on('request', async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const one = {
      path: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
      at_ms: Date.now(),
    };
    received.push(one);
    const given = typeof how === 'number' ? how : await how(one, response);
    if (given === undefined) return;
    const answer = typeof given === 'number' ? { status: given } : given;
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received,
    connections: () => connections,
    answer(next) {
      how = next;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
