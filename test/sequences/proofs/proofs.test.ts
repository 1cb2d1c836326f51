/** The short versions. All of each: `npm run proofs`. */
import { expect, test } from 'vitest';
import { cutAof } from './cut-aof.ts';
import { flushedScripts } from './flushed-scripts.ts';
import { kills } from './kills.ts';
import { lostReplies } from './lost-replies.ts';
import { verbFuzz } from './verb-fuzz.ts';

const seed = 20_261_121;
const PATIENCE_MS = 240_000;

test(
  'answers that are lost after the script ran: each key has taken once',
  async () => {
    expect(await lostReplies({ times: 80, seed })).toMatchObject({
      wrong: [],
      done: { lost: 80, units: 80 },
    });
  },
  PATIENCE_MS,
);

test(
  'SCRIPT FLUSH under load: nobody gets an error, each key has taken once',
  async () => {
    const proof = await flushedScripts({ times: 2_000, seed }, 25);
    expect(proof).toMatchObject({ wrong: [], done: { requests: 2_000, units: 2_000 } });
    expect(proof.done.flushes).toBeGreaterThan(0);
  },
  PATIENCE_MS,
);

test(
  'every verb with arguments and keys that are wrong: whoever fails has written nothing',
  async () => {
    const { wrong, done } = await verbFuzz({ times: 3_000, seed });
    expect(wrong).toEqual([]);
    expect(done.errors).toBeGreaterThan(100);
    expect(done.changed).toBeGreaterThan(100);
  },
  PATIENCE_MS,
);

test(
  'an AOF cut anywhere loads as it stood after its last whole transaction',
  async () => {
    const { wrong, done } = await cutAof({ times: 10, seed, every_byte: false });
    expect(wrong).toEqual([]);
    expect(done.loads).toBeGreaterThan(20);
  },
  PATIENCE_MS,
);

test(
  'Redis killed with -9 under load: who was told of a reservation has it',
  async () => {
    expect(await kills({ times: 5, seed })).toMatchObject({ wrong: [] });
  },
  PATIENCE_MS,
);
