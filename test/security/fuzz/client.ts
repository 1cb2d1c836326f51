/** One connection to the engine, one request after another, byte by byte: what it says is kept as it came. */
import { connect, type Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';

export type RawAnswer = { status: number; headers: Map<string, string>; text: string };
/** `closed`: without an answer. `silent`: neither in all that time. */
export type Outcome = RawAnswer | 'closed' | 'silent';

export type Client = {
  /** What was sent before, on the connection that is kept, and its status. */
  readonly last: string;
  ask(bytes: Buffer, options: { bodiless: boolean; patience_ms: number }): Promise<Outcome>;
  /** Sends so much, waits, and is gone. */
  leave(bytes: Buffer, after_ms: number): Promise<void>;
  close(): void;
};

const END_OF_HEAD = Buffer.from('\r\n\r\n');

export function createClient(port: number): Client {
  let socket: Socket | undefined;
  let last = '';
  let sending = '';

  async function opened(): Promise<Socket> {
    if (socket && !socket.destroyed && socket.writable) return socket;
    const made = connect(port, '127.0.0.1');
    made.setNoDelay(true);
    await new Promise<void>((resolve, reject) => made.once('connect', resolve).once('error', reject));
    made.on('error', () => {});
    socket = made;
    last = 'nothing';
    return made;
  }

  function close(): void {
    socket?.removeAllListeners('data');
    socket?.destroy();
    socket = undefined;
  }

  return {
    get last() {
      return last;
    },
    async ask(bytes, { bodiless, patience_ms }) {
      const to = await opened();
      sending = bytes.subarray(0, 1_500).toString('latin1');
      return new Promise((resolve) => {
        let received: Buffer = Buffer.alloc(0);
        const end = (outcome: Outcome) => {
          clearTimeout(timer);
          to.removeListener('data', take).removeListener('close', closed);
          const kept =
            typeof outcome === 'object' &&
            outcome.headers.get('connection') !== 'close' &&
            received.length === 0;
          if (typeof outcome === 'object') last = `${outcome.status} ${sending}`;
          if (!kept) close();
          resolve(outcome);
        };
        const take = (chunk: Buffer) => {
          received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
          const parsed = parse(received, bodiless);
          if (!parsed) return;
          received = received.subarray(parsed.length);
          end(parsed.answer);
        };
        const closed = () => end('closed');
        const timer = setTimeout(() => end('silent'), patience_ms);
        to.on('data', take).once('close', closed);
        to.write(bytes);
      });
    },
    async leave(bytes, after_ms) {
      const to = await opened();
      to.write(bytes);
      if (after_ms > 0) await new Promise((resolve) => setTimeout(resolve, after_ms));
      else await new Promise((resolve) => setImmediate(resolve));
      to.resetAndDestroy();
      socket = undefined;
    },
    close,
  };
}

function parse(received: Buffer, bodiless: boolean): { answer: RawAnswer; length: number } | undefined {
  const head_end = received.indexOf(END_OF_HEAD);
  if (head_end < 0) return undefined;
  const [first, ...lines] = received.subarray(0, head_end).toString('latin1').split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const status = Number(first.split(' ')[1]);
  const length =
    bodiless || status === 204 || status === 304 ? 0 : Number(headers.get('content-length') ?? 0);
  const start = head_end + END_OF_HEAD.length;
  if (received.length < start + length) return undefined;
  const body = received.subarray(start, start + length);
  const text = (
    headers.get('content-encoding') === 'gzip' && length > 0 ? gunzipSync(body) : body
  ).toString();
  return { answer: { status, headers, text }, length: start + length };
}
