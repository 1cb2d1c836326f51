/** Who is connected to a port of ours, by remote address: from the kernel's own list, on Linux. */
import { createReadStream, readFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';

const FILES = ['/proc/net/tcp', '/proc/net/tcp6'];
/** Established, and closed by the other side but not yet by us: both hold a descriptor. */
const HELD = new Set(['01', '08']);

/** Undefined where there is no such list. Reads and parses in pieces, so that it holds nobody up. */
export async function census(
  port: number,
  addressOf: (peer: string) => string,
): Promise<Map<string, number> | undefined> {
  const found = new Map<string, number>();
  let readable = false;
  for (const file of FILES) {
    const pieces = createReadStream(file, { highWaterMark: 64 * 1024 });
    await pipeline(pieces, async (source: AsyncIterable<Buffer>) => {
      let rest = '';
      for await (const piece of source) {
        const lines = (rest + piece.toString('latin1')).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const peer = peerOf(line, port);
          if (peer === undefined) continue;
          const address = addressOf(peer);
          found.set(address, (found.get(address) ?? 0) + 1);
        }
      }
      readable = true;
    }).catch(() => {});
  }
  return readable ? found : undefined;
}

/** `sl local_address rem_address st ...`, addresses in hex, in words of four bytes with the last byte first. */
export function peerOf(line: string, port: number): string | undefined {
  const [, local = '', remote = '', state = ''] = line.trimStart().split(/ +/, 4);
  if (!HELD.has(state) || Number.parseInt(local.split(':')[1] ?? '', 16) !== port) return undefined;
  const bytes = (remote.split(':')[0].match(/.{8}/g) ?? []).flatMap((word) =>
    (word.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16)),
  );
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i] * 256 + bytes[2 * i + 1]).toString(16));
  return groups.join(':');
}

/** Files and connections that this process may have open; undefined where the system does not say. */
export function descriptorsMax(): number | undefined {
  try {
    const [, soft] = /^Max open files +(\w+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft) || undefined;
  } catch {
    return undefined;
  }
}
