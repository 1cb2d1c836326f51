/** Lines of a file, plain or gzip, as their bytes, one after another: a certificate may be larger than memory. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

/** A line without its end; `ended`: false if the file stops in the middle of it. */
export type Line = { bytes: Buffer; ended: boolean };

const NEWLINE = 0x0a;
/** No line of ours is this long; a file of another kind may be. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;

export async function* readLines(path: string): AsyncGenerator<Line> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of await bytesOf(path)) {
    const data: Buffer = rest.length > 0 ? Buffer.concat([rest, chunk as Buffer]) : (chunk as Buffer);
    let at = 0;
    for (let end = data.indexOf(NEWLINE, at); end >= 0; end = data.indexOf(NEWLINE, at)) {
      yield { bytes: data.subarray(at, end), ended: true };
      at = end + 1;
    }
    rest = data.subarray(at);
    if (rest.length > LINE_BYTES_MAX) throw new Error(`${path} is no certificate: a line of it does not end`);
  }
  if (rest.length > 0) yield { bytes: rest, ended: false };
}

async function bytesOf(path: string): Promise<Readable> {
  const file = await open(path);
  const magic = Buffer.alloc(2);
  await file.read(magic, 0, 2, 0);
  await file.close();
  const stream = createReadStream(path, { highWaterMark: 1024 * 1024 });
  if (magic[0] !== 0x1f || magic[1] !== 0x8b) return stream;
  const plain = createGunzip();
  stream.on('error', (error) => plain.destroy(error));
  return stream.pipe(plain);
}
