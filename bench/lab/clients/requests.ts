/** What the clients in JavaScript send: the same requests as wrk-requests.lua, every one with a key of its own. */
import { readFileSync } from 'node:fs';
import type { Load } from './client.ts';

export type Requests = {
  path: string;
  /** Token, key and body of the next one. */
  next(): { token: string; key: string; body: string };
};

export function createRequests({ url, tokens_file, bodies_file, key_prefix }: Load): Requests {
  const [tokens, bodies] = [linesOf(tokens_file), linesOf(bodies_file)];
  let sent = 0;
  return {
    path: new URL(url).pathname,
    next() {
      sent += 1;
      return {
        token: tokens[sent % tokens.length] ?? '',
        key: `${key_prefix}-0-${String(sent).padStart(12, '0')}`,
        body: bodies[sent % bodies.length] ?? '',
      };
    },
  };
}

const linesOf = (file: string) => readFileSync(file, 'utf8').split('\n');
