import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { FollowedSale } from '../../ledger/stream/cursor.ts';
import type { StreamEntry } from '../../lua/entries.ts';
import type { Chunk } from '../../lua/scripts.ts';
import { createReadAhead, type Look } from './read-ahead.ts';

const LAST = 100;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

const at = (seq: number, epoch = 1) => ({ seq, epoch }) as FollowedSale;
const chunk = (...seqs: number[]): Chunk =>
  ({
    kind: 'chunk',
    seq: LAST,
    now_ms: Date.now(),
    entries: seqs.map((seq) => ({ seq }) as StreamEntry),
  }) as Chunk;
const positions = (look: Look) => (look.kind === 'chunk' ? look.entries.map(({ seq }) => seq) : look.kind);

/** Two entries each time; tells from where was read. */
function reader() {
  const reads: number[] = [];
  const ahead = createReadAhead(async (_sale, after_seq) => {
    reads.push(after_seq);
    return chunk(after_seq + 1, after_seq + 2);
  });
  return { reads, ahead };
}

test('what is behind the chunk that is written is read meanwhile, once', async () => {
  const { reads, ahead } = reader();
  ahead.prepare(at(0), chunk(1, 2), 2);
  expect(reads).toEqual([2]);
  expect(positions(await ahead.next(at(2)))).toEqual([3, 4]);
  expect(reads).toEqual([2]);
  expect(positions(await ahead.next(at(2)))).toEqual([3, 4]);
  expect(reads).toEqual([2, 2]);
});

test('entries that were read and did not fit come next, without another read', async () => {
  const { reads, ahead } = reader();
  ahead.prepare(at(0), chunk(1, 2, 3, 4), 2);
  vi.setSystemTime(Date.now() + 300);
  const look = await ahead.next(at(2));
  expect(positions(look)).toEqual([3, 4]);
  // Time has gone on since: deadlines and lag count from now.
  expect(look.now_ms).toBe(Date.now());
  expect(reads).toEqual([]);
});

test('nothing is read ahead where nothing more is known to be', () => {
  const { reads, ahead } = reader();
  ahead.prepare(at(0), chunk(LAST - 1, LAST), LAST);
  expect(reads).toEqual([]);
});

test('it counts for its position and its epoch only, and not for long', async () => {
  const { reads, ahead } = reader();
  ahead.prepare(at(0), chunk(1, 2, 3), 2);
  await ahead.next(at(7));
  ahead.prepare(at(0), chunk(1, 2, 3), 2);
  await ahead.next(at(2, 2));
  ahead.prepare(at(0), chunk(1, 2, 3), 2);
  vi.setSystemTime(Date.now() + 1_001);
  await ahead.next(at(2));
  ahead.prepare(at(0), chunk(1, 2, 3), 2);
  ahead.forget();
  await ahead.next(at(2));
  expect(reads).toEqual([7, 2, 2, 2]);
});

test.each([
  ['no entries', async () => chunk()],
  ['no record', async (): Promise<Look> => ({ kind: 'missing', now_ms: 0, identity_now: '' })],
  ['an error', () => Promise.reject(new Error('Redis is away'))],
])('%s, read ahead, is never what is told: it is read again', async (_what, first) => {
  const answers: (() => Promise<Look>)[] = [first, async () => chunk(3)];
  const ahead = createReadAhead(() => answers.shift()?.() ?? Promise.reject(new Error('a third read')));
  ahead.prepare(at(0), chunk(1, 2), 2);
  expect(positions(await ahead.next(at(2)))).toEqual([3]);
});
