/** Requests byte by byte, for what an HTTP client would not send. */
import { connect, type Socket } from 'node:net';

export type RawAnswer = { status: number; headers: Map<string, string>; body: string };

/**
 * Sends `parts` one after another on one connection, and resolves with the answers when there are `count`, or
 * with those that came before the server closed it.
 */
export async function exchangeRaw(
  port: number,
  parts: readonly (string | Buffer)[],
  count = 1,
): Promise<{ answers: RawAnswer[]; closed: boolean }> {
  const socket = await open(port);
  let received = Buffer.alloc(0);
  const done = new Promise<{ answers: RawAnswer[]; closed: boolean }>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const answers = parse(received);
      if (answers.length >= count) resolve({ answers, closed: false });
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve({ answers: parse(received), closed: true }));
  });
  for (const part of parts) await write(socket, part);
  const result = await done;
  socket.destroy();
  return result;
}

export function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.setNoDelay(true);
    socket.once('error', reject);
  });
}

/** The next part goes out in a packet of its own. */
function write(socket: Socket, part: string | Buffer): Promise<void> {
  return new Promise((resolve) => socket.write(part, () => setImmediate(resolve)));
}

/** Complete answers in what was received. Answers without Content-Length have no body. */
function parse(received: Buffer): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = received;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return answers;
    const [first, ...lines] = rest.subarray(0, end).toString('latin1').split('\r\n');
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const length = Number(headers.get('content-length') ?? 0);
    const body = rest.subarray(end + 4, end + 4 + length);
    if (body.length < length) return answers;
    answers.push({ status: Number(first.split(' ')[1]), headers, body: body.toString() });
    rest = rest.subarray(end + 4 + length);
  }
}
