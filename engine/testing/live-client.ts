/** A WebSocket that listens: just enough of RFC 6455 for what the engine sends, on every version of Node. */
import { randomBytes } from 'node:crypto';
import { open } from './raw-http.ts';

export type LiveClient = {
  /** Messages so far. */
  messages: string[];
  /** Resolves with the code when the server has closed it. */
  closed: Promise<number>;
  send(bytes: Buffer): void;
  end(): void;
};

/** Rejects with the status line if the upgrade is refused. */
export async function watchLive(
  port: number,
  path: string,
  headers: readonly string[] = [],
): Promise<LiveClient> {
  const socket = await open(port);
  const key = randomBytes(16).toString('base64');
  const lines = [`GET ${path} HTTP/1.1`, 'Host: a', 'Upgrade: websocket', 'Connection: Upgrade'];
  const head = [...lines, `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13', ...headers];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);

  const messages: string[] = [];
  let received = Buffer.alloc(0);
  let code = 1006;
  let opened: () => void;
  let refused: (error: Error) => void;
  const upgraded = new Promise<void>((resolve, reject) => {
    opened = resolve;
    refused = reject;
  });
  let is_open = false;
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (!is_open) {
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const status = received.subarray(0, received.indexOf('\r\n')).toString();
      if (!status.includes(' 101 ')) return refused(new Error(status));
      is_open = true;
      received = received.subarray(end + 4);
      opened();
    }
    for (;;) {
      const frame = readFrame(received);
      if (!frame) return;
      received = received.subarray(frame.size);
      if (frame.opcode === 1) messages.push(frame.payload.toString());
      if (frame.opcode === 8) code = frame.payload.length >= 2 ? frame.payload.readUInt16BE(0) : 1005;
    }
  });
  socket.on('error', () => {});
  const closed = new Promise<number>((resolve) => socket.on('close', () => resolve(code)));
  await upgraded;
  return { messages, closed, send: (bytes) => void socket.write(bytes), end: () => socket.destroy() };
}

/** Frames of a server are not masked. */
function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; size: number } | undefined {
  if (bytes.length < 2) return undefined;
  let length = bytes[1] & 0x7f;
  let start = 2;
  if (length === 126) {
    if (bytes.length < 4) return undefined;
    length = bytes.readUInt16BE(2);
    start = 4;
  }
  if (bytes.length < start + length) return undefined;
  return { opcode: bytes[0] & 0x0f, payload: bytes.subarray(start, start + length), size: start + length };
}
