/**
 * So many slow clients, as a process of their own: a quarter each sends its head by the byte, sends its body by the byte, reads
 * a long answer a piece at a time, or says nothing after its first answer. They come from many addresses of this machine, hold on
 * as long as they are let, and whoever is thrown out comes again.
 */
import { connect } from 'node:net';

export type SlowOptions = {
  host: string;
  port: number;
  sockets: number;
  per_address: number;
  /** All of them together begin so many connections a second; 0: all that can be, at once. */
  opens_per_second: number;
  kinds: readonly SlowKind[];
  token: string;
};

export const SLOW_KINDS = ['head', 'body', 'reader', 'idle'] as const;
export type SlowKind = (typeof SLOW_KINDS)[number];

export type SlowState = { open: number; thrown_out: number };

/** A byte from each, or a piece read, so often, ms: more often than the server closes who is silent. */
const DRIP_MS = 4_000;
const DRIPS = 100;
const PAUSE_MS = 100;

type Slow = { i: number; kind: SlowKind };

function first({ i, kind }: Slow, token: string): string {
  if (kind === 'head') return 'GET /v1/sales/slow HTTP/1.1\r\nHost: slow\r\nX-A: ';
  if (kind === 'reader') return 'GET /openapi.json HTTP/1.1\r\nHost: slow\r\n\r\n';
  if (kind === 'idle') return 'GET /livez HTTP/1.1\r\nHost: slow\r\n\r\n';
  return `POST /v1/inventory/lock HTTP/1.1\r\nHost: slow\r\nAuthorization: Bearer ${token}\r\nIdempotency-Key: slow-${i}-0123456789\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{"sale_id":"`;
}

function run(options: SlowOptions): void {
  const { kinds } = options;
  const waiting: Slow[] = Array.from({ length: options.sockets }, (_, i) => ({
    i,
    kind: kinds[i % kinds.length] ?? 'head',
  }));
  const dripping = Array.from({ length: DRIPS }, () => new Set<() => void>());
  let open = 0;
  let thrown_out = 0;

  function join(slow: Slow): void {
    const group = Math.floor(slow.i / options.per_address);
    const socket = connect({
      host: options.host,
      port: options.port,
      // 127.0.0.0/8 is all ours.
      localAddress: `127.0.${1 + (group >> 8)}.${1 + (group & 0xff)}`,
    });
    const drips = dripping[slow.i % DRIPS];
    const drip = () => void (slow.kind === 'reader' ? socket.resume() : socket.write('a'));
    let connected = false;
    socket.once('connect', () => {
      connected = true;
      open += 1;
      socket.write(first(slow, options.token));
      if (slow.kind !== 'idle') drips?.add(drip);
    });
    socket.on('error', () => socket.destroy());
    if (slow.kind === 'reader') socket.on('data', () => socket.pause()).pause();
    else socket.resume();
    socket.once('close', () => {
      drips?.delete(drip);
      if (connected) {
        open -= 1;
        thrown_out += 1;
      }
      setTimeout(() => waiting.push(slow), PAUSE_MS * (1 + Math.random()));
    });
  }

  let turn = 0;
  setInterval(() => {
    for (const drip of dripping[turn % DRIPS] ?? []) drip();
    turn += 1;
  }, DRIP_MS / DRIPS);

  let begun_ms = performance.now();
  setInterval(() => {
    const now = performance.now();
    const { opens_per_second } = options;
    const due = opens_per_second === 0 ? 400 : Math.floor(((now - begun_ms) / 1_000) * opens_per_second);
    begun_ms = opens_per_second === 0 ? now : begun_ms + (due / opens_per_second) * 1_000;
    for (const slow of waiting.splice(0, due)) join(slow);
  }, 5);
  setInterval(() => process.send?.({ open, thrown_out } satisfies SlowState), 100);
}

process.once('message', (options: SlowOptions) => run(options));
process.once('disconnect', () => process.exit(0));
