/**
 * A crowd: so many connections, each sending its next request as soon as the one before is answered, and at once again
 * whatever the answer was. As a process of its own it does not share an event loop with whoever measures.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Connection, lockRequest, openConnection } from './connection.ts';
import { createTally, type Tally } from './tally.ts';

export type FloodOptions = {
  host: string;
  port: number;
  sale_id: string;
  sku: string;
  tokens: string[];
  connections: number;
  seconds: number;
  /** Begins every key: each flood has its own. */
  key_prefix: string;
};

/** Runs a flood in a process of its own. */
export function runFlood(options: FloodOptions): Promise<Tally> {
  const child = fork(fileURLToPath(import.meta.url), { execArgv: ['--import', 'tsx'], stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('message', (tally) => resolve(tally as Tally));
    child.once('exit', (code) => reject(new Error(`a flood ended with ${code}`)));
    child.send(options);
  });
}

function flood(options: FloodOptions): Promise<Tally> {
  const tally = createTally();
  const request = lockRequest(options, options.sale_id, options.sku);
  const open = new Set<Connection>();
  let sent = 0;
  let ended = false;

  function join(): void {
    let sent_ms = 0;
    let waiting = false;
    const send = () => {
      sent += 1;
      sent_ms = performance.now();
      waiting = true;
      const token = options.tokens[sent % options.tokens.length] ?? '';
      connection.send(request(token, `${options.key_prefix}-${sent.toString(36).padStart(12, '0')}`));
    };
    const connection = openConnection(options, {
      ready: send,
      answered(answer) {
        waiting = false;
        tally.answered(answer, performance.now() - sent_ms);
        if (!ended && !answer.closes) send();
      },
      gone() {
        open.delete(connection);
        if (waiting && !ended) tally.broken();
        if (!ended) setTimeout(() => ended || join(), 50);
      },
    });
    open.add(connection);
  }

  for (let i = 0; i < options.connections; i++) join();
  return new Promise((resolve) => {
    setTimeout(() => {
      ended = true;
      for (const connection of open) connection.destroy();
      resolve(tally.read());
    }, options.seconds * 1_000);
  });
}

if (process.send && process.argv[1] === fileURLToPath(import.meta.url)) {
  process.once('message', (options: FloodOptions) => {
    void flood(options).then((tally) => process.send?.(tally, () => process.exit(0)));
  });
}
