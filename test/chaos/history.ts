/**
 * What happened as the outside saw it, one JSON line each, in the order in which it ended: requests with their answers,
 * faults, and what was seen in the ledger. Times are milliseconds since the run began. The checker reads nothing else
 * about the clients; the types stand in its folder.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Line } from './checker/lines.ts';

export type History = {
  now_ms(): number;
  write(line: Line): void;
  close(): void;
};

const FLUSH_BYTES = 64 * 1024;

export function openHistory(path: string): History {
  const fd = openSync(path, 'w');
  const begun = performance.now();
  let buffered = '';
  const flush = () => {
    const bytes = Buffer.from(buffered);
    buffered = '';
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  };
  return {
    now_ms: () => Math.round((performance.now() - begun) * 100) / 100,
    write(line) {
      buffered += `${JSON.stringify(line)}\n`;
      if (buffered.length > FLUSH_BYTES) flush();
    },
    close() {
      flush();
      closeSync(fd);
    },
  };
}
