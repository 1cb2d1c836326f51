/**
 * The sandbox's record of what it did: one JSON line a fact, only ever added to. Nothing is answered before its line
 * is written, so a kill -9 forgets nothing that anybody was told. (A power cut may: lines are not fsynced.)
 */
import { closeSync, createReadStream, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SandboxPayment } from './payment.ts';

export type JournalLine =
  /** A payment as it is from now on, the answer given under a key, and the event that tells of it. */
  | { kind: 'payment'; at_ms: number; payment: SandboxPayment; answer?: Answer; event?: EventHead }
  /** A 500 is this key's answer, for ever. */
  | { kind: 'stuck'; at_ms: number; key: string; fingerprint: string }
  /** A token that errs once has erred for this reference. */
  | { kind: 'erred'; reference: string }
  | { kind: 'event_over'; event_id: string }
  | { kind: 'keys_forgotten' };

/** `fingerprint`: of the request, so that a key can't be used for another one. */
export type Answer = { key: string; fingerprint: string };
export type EventHead = { id: string; type: string };

export type Journal = {
  append(line: JournalLine): void;
  /** Resolves when everything appended so far is written. */
  written(): Promise<void>;
  close(): Promise<void>;
};

const FILE = 'sandbox.jsonl';

export function journalPath(dir: string): string {
  return join(dir, FILE);
}

/** Opens the journal of a folder, after `replay` has seen every line in it. A line torn by a crash is cut off. */
export async function openJournal(dir: string, replay: (line: JournalLine) => void): Promise<Journal> {
  mkdirSync(dir, { recursive: true });
  const path = journalPath(dir);
  const fd = openSync(path, 'a+');
  ftruncateSync(fd, await readJournal(path, replay));
  let buffered = '';
  let waiting: { written: Promise<void>; resolve: () => void; reject: (error: unknown) => void } | undefined;

  /** What has gathered until now, with one call that returns when it is done: cheaper than to hand it to a thread. */
  function flush(): void {
    const bytes = Buffer.from(buffered);
    buffered = '';
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  }

  function flushWaiting(): void {
    const over = waiting;
    waiting = undefined;
    try {
      flush();
      over?.resolve();
    } catch (error) {
      over?.reject(error);
    }
  }

  function written(): Promise<void> {
    if (buffered === '') return Promise.resolve();
    if (!waiting) {
      let resolve = () => {};
      let reject: (error: unknown) => void = () => {};
      const promise = new Promise<void>((yes, no) => {
        resolve = yes;
        reject = no;
      });
      waiting = { written: promise, resolve, reject };
      // Once for all that came in this turn.
      setImmediate(flushWaiting);
    }
    return waiting.written;
  }

  return {
    append: (line) => {
      buffered += `${JSON.stringify(line)}\n`;
    },
    written,
    close: async () => {
      flush();
      closeSync(fd);
    },
  };
}

/** Reads whole lines in order; returns where the last of them ends, bytes. */
export async function readJournal(path: string, each: (line: JournalLine) => void): Promise<number> {
  let end = 0;
  let last: string | undefined;
  const take = (text: string) => {
    end += Buffer.byteLength(text) + 1;
    each(JSON.parse(text) as JournalLine);
  };
  let complete = false;
  const input = createReadStream(path);
  input.on('data', (chunk) => {
    complete = chunk[chunk.length - 1] === 0x0a;
  });
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (last !== undefined) take(last);
    last = text;
  }
  if (last !== undefined && complete) take(last);
  return end;
}
