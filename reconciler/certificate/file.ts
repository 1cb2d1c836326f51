/** Where a certificate is written: under its name only when it is whole, so that nobody takes a part for it. */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

export type CertificateFile = {
  /** Resolves when there is room for more. */
  write(bytes: string): Promise<void>;
  /** Everything is written: it gets its name. */
  keep(): Promise<void>;
  drop(): Promise<void>;
};

/** `out`: a path, `-` for standard output. Nothing is created before the first bytes. */
export function certificateFile(out: string): CertificateFile {
  const part = `${out}.part-${process.pid}`;
  const to_stdout = out === '-';
  let first: Writable | undefined;
  let last: Writable | undefined;

  function begin(): Writable {
    last = to_stdout ? process.stdout : createWriteStream(part, { flags: 'w', mode: 0o600 });
    first = last;
    if (out.endsWith('.gz')) {
      const gzip = createGzip({ level: 4 });
      gzip.pipe(last);
      first = gzip;
    }
    return first;
  }

  async function write(bytes: string): Promise<void> {
    const stream = first ?? begin();
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error) => reject(error);
      last?.once('error', failed);
      stream.write(bytes, (error) => {
        last?.off('error', failed);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  return {
    write,
    async keep() {
      if (!first || !last || to_stdout) return;
      const done = finished(last);
      first.end();
      await done;
      await rename(part, out);
    },
    async drop() {
      if (!first || to_stdout) return;
      first.destroy();
      last?.destroy();
      await rm(part, { force: true });
    },
  };
}
