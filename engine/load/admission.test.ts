import { describe, expect, it } from 'vitest';
import {
  ADMIT_CALM_MS,
  ADMIT_CROWD,
  ADMIT_LEAST,
  ADMIT_QUEUE_MS,
  ADMIT_STANDING_MS,
  ADMIT_TURN_MS,
} from '../../domain/limits.ts';
import { createAdmission, type Waiting } from './admission.ts';

/** An event loop under our hands. */
function loop() {
  let now = 0;
  let idle = 0;
  const ends: (() => void)[] = [];
  const admission = createAdmission({
    now_ms: () => now,
    idle_ms: () => idle,
    after_turn: (done) => void ends.push(done),
  });
  const queue: Waiting = { count: 0, oldest_ms: 0 };
  admission.watch(() => queue);
  return {
    queue,
    admission,
    pass: (ms: number) => {
      now += ms;
    },
    /** One turn that reads `count` requests, `each_ms` for one that is let in, a tenth for one that is not. */
    turn(count: number, each_ms: number): { admitted: number; refused: number } {
      let admitted = 0;
      for (let i = 0; i < count; i++) {
        admission.arrived();
        const full = admission.full();
        if (!full) admitted += 1;
        now += full ? each_ms / 10 : each_ms;
      }
      for (const end of ends.splice(0)) end();
      return { admitted, refused: count - admitted };
    },
    sleep(ms: number) {
      now += ms;
      idle += ms;
    },
  };
}

const CROWD = 4 * ADMIT_CROWD;

describe('admission', () => {
  it('lets a rush in: a second full of buyers is served, not refused', () => {
    const { turn } = loop();
    expect(turn(10_000, 0.08).refused).toBe(0);
    expect(turn(2_000, 0.08).refused).toBe(0);
  });

  it('an overload that stays is told at once, and who is let in waits no longer than a turn', () => {
    const { turn, admission } = loop();
    for (let at = 0; !admission.shedding(); at++) {
      expect(at).toBeLessThan(100);
      turn(CROWD, 0.05);
    }
    for (let i = 0; i < 50; i++) {
      const { admitted, refused } = turn(CROWD, 0.05);
      expect(admitted).toBeGreaterThanOrEqual(ADMIT_LEAST);
      expect(refused).toBeGreaterThan(0);
      expect(admitted * 0.05).toBeLessThanOrEqual(ADMIT_TURN_MS + 1);
    }
  });

  it('lets so many wait as are served in a short while, at the pace that it sees: served as fast as before, and soon', () => {
    const { turn, admission, queue, pass } = loop();
    const SERVED_PER_MS = 30;
    let away = 0;
    let longest_ms = 0;
    let served = 0;
    const crowd = (ms: number) => {
      served = 0;
      longest_ms = 0;
      for (let at = 0; at < ms; at += 10) {
        // Who is answered or refused is back ten milliseconds later.
        queue.count += turn(10 * ADMIT_CROWD - queue.count - away, 0.0001).admitted;
        away = 10 * ADMIT_CROWD - queue.count;
        longest_ms = Math.max(longest_ms, queue.count / SERVED_PER_MS);
        const done = Math.min(queue.count, 10 * SERVED_PER_MS);
        queue.count -= done;
        queue.oldest_ms = queue.count / SERVED_PER_MS;
        away = 0;
        served += done;
        pass(10);
      }
    };
    crowd(3_000);
    expect(admission.shedding()).toBe(true);
    crowd(3_000);
    expect(admission.shedding()).toBe(true);
    expect(longest_ms).toBeLessThanOrEqual(2 * ADMIT_QUEUE_MS);
    expect(served / 3_000).toBeGreaterThan(0.95 * SERVED_PER_MS);
  });

  it('goes on refusing while there is somebody to refuse, however short the wait has become', () => {
    const { turn, admission, sleep } = loop();
    while (!admission.shedding()) turn(CROWD, 0.1);
    for (let at_ms = 0; at_ms < 4 * ADMIT_CALM_MS; at_ms += 500) {
      expect(turn(2 * ADMIT_LEAST, 0.1).refused).toBeGreaterThan(0);
      sleep(500);
    }
  });

  it('while it refuses, few on a slow machine are let in all the same', () => {
    const { turn, admission, sleep } = loop();
    while (!admission.shedding()) turn(CROWD, 0.1);
    for (let i = 0; i < 10; i++) {
      expect(turn(ADMIT_LEAST - 1, 5).refused).toBe(0);
      sleep(1);
    }
    expect(admission.shedding()).toBe(false);
  });

  it('goes back to letting everybody in once it has been calm for a while', () => {
    const { turn, admission, sleep } = loop();
    while (!admission.shedding()) turn(CROWD, 0.1);
    for (let calm_ms = 0; calm_ms <= ADMIT_CALM_MS; calm_ms += 20) {
      turn(20, 0.1);
      sleep(20);
    }
    turn(20, 0.1);
    expect(admission.shedding()).toBe(false);
    expect(turn(CROWD, 0.1).refused).toBe(0);
  });

  it('is not misled by a turn in which few are read, because the others wait for their answers', () => {
    const { turn, admission } = loop();
    for (let at = 0; !admission.shedding(); at++) {
      expect(at).toBeLessThan(20);
      turn(2 * ADMIT_CROWD, 0.25);
      turn(ADMIT_CROWD / 2, 0.25);
    }
  });

  it('few who are served slowly are no crowd: a machine that is busy with something else refuses nobody', () => {
    const { turn } = loop();
    for (let i = 0; i < 100; i++) expect(turn(ADMIT_CROWD - 1, 2).refused).toBe(0);
  });

  it('time without anything to do is no waiting', () => {
    const { turn, sleep } = loop();
    for (let i = 0; i < 100; i++) {
      expect(turn(CROWD, 0.001).refused).toBe(0);
      sleep(500);
    }
  });

  it('a Redis that is slow makes a queue, too: nobody joins one that has stood too long', () => {
    const { queue, turn, pass } = loop();
    Object.assign(queue, { oldest_ms: 300, count: 2 * ADMIT_CROWD });
    for (let at = 0; at <= ADMIT_STANDING_MS + 200; at += 50) {
      turn(10, 0.1);
      pass(50);
    }
    expect(turn(10, 0.1).admitted).toBe(0);
    Object.assign(queue, { oldest_ms: 0, count: 0 });
    expect(turn(10, 0.1).refused).toBe(0);
  });

  it('a queue of a few behind a Redis that stands still is left to its deadline', () => {
    const { queue, turn, pass } = loop();
    for (let at = 0; at < 5_000; at += 50) {
      Object.assign(queue, { oldest_ms: at, count: 20 });
      expect(turn(10, 0.1).refused).toBe(0);
      pass(50);
    }
  });
});
