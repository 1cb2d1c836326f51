/** Plain HTTP as a client speaks it: keep-alive, a patience of its own, and nothing sent twice without our knowing. */
import { Agent, request } from 'node:http';

export type Reply = { status: number; headers: Record<string, unknown>; text: string };

export type Sent = { method: 'GET' | 'POST'; path: string; headers: Record<string, string>; body?: string };

export type Http = {
  /** Undefined: no answer in time, or the connection broke. `abort_ms`: hang up so long after it was sent. */
  send(engine: number, sent: Sent, abort_ms?: number): Promise<Reply | undefined>;
  close(): void;
};

const PATIENCE_MS = 8_000;
/** Waiting for a free socket would be load that is not open. */
const SOCKETS_MAX = Number.POSITIVE_INFINITY;
const IDLE_SOCKETS_MAX = 256;

export function createHttp(urls: readonly string[]): Http {
  const agents = urls.map(
    () => new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX, maxFreeSockets: IDLE_SOCKETS_MAX }),
  );
  return {
    send(engine, { method, path, headers, body }, abort_ms) {
      return new Promise((resolve) => {
        const asked = request(urls[engine] + path, { method, headers, agent: agents[engine] });
        const over = (reply?: Reply) => {
          clearTimeout(timer);
          resolve(reply);
          if (!reply) asked.destroy();
        };
        const timer = setTimeout(over, abort_ms ?? PATIENCE_MS);
        asked.on('error', () => over());
        asked.on('response', (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('error', () => over());
          response.on('close', () => over());
          response.on('end', () => {
            if (response.complete)
              over({ status: response.statusCode ?? 0, headers: response.headers, text });
            else over();
          });
        });
        asked.end(body);
      });
    },
    close() {
      for (const agent of agents) agent.destroy();
    },
  };
}
