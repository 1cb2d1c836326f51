/**
 * When more comes in than can be answered, somebody has to be told so at once, or everybody waits longer and longer. This
 * decides who: as a request's head is read, before anything is spent on it.
 *
 * What waits before it was read lies in sockets, where nobody can count it. But the event loop reads all sockets that have
 * something, then does the rest, then reads again: so what is read now has waited no longer than the turn before
 * plus this turn up to now. What waits after it was read waits for its batch, and the batcher knows since when.
 *
 * A rush is no overload: at the opening of a sale thousands come in the same second, and are served within the next. So
 * new requests are refused only while the wait has been too long, for too many, for a while (`standing`), and then
 * just so many that those let in wait no longer than they may. Free of I/O; time is injected.
 */
import {
  ADMIT_CALM_MS,
  ADMIT_CROWD,
  ADMIT_STANDING_MS,
  ADMIT_TURN_MS,
  ADMIT_WAIT_MS_MAX,
} from '../../domain/limits.ts';

export type Admission = {
  /** A request's head has been read. */
  arrived(): void;
  /** Is there no room for one more now? Asked after `arrived`, by what may be refused. */
  full(): boolean;
  /** Where it can be read, once a turn, what waits for its batch. */
  watch(read: () => Waiting): void;
  /** Are some refused at present? For metrics. */
  shedding(): boolean;
};

/** How many requests wait, and how long the oldest of them has waited. */
export type Waiting = { count: number; oldest_ms: number };

export type AdmissionOptions = {
  now_ms?: () => number;
  /** Time since the start that the event loop spent waiting for something to do. */
  idle_ms?: () => number;
  /** Calls back when this turn of the event loop has read what there was. */
  after_turn?: (done: () => void) => void;
};

export function createAdmission(options: AdmissionOptions = {}): Admission {
  const {
    now_ms = () => performance.now(),
    idle_ms = () => performance.eventLoopUtilization().idle,
    after_turn = (done) => void setImmediate(done),
  } = options;
  let in_turn = false;
  let began_ms = now_ms();
  let began_idle_ms = idle_ms();
  /** Read in this turn, and in the two before; how long the last took. Who waits for an answer is read every other turn. */
  let count = 0;
  let counts_before: [number, number] = [0, 0];
  let turn_before_ms = 0;
  let read: () => Waiting = () => ({ count: 0, oldest_ms: 0 });
  let batch_wait_ms = 0;
  let crowded_since_ms: number | undefined;
  let calm_since_ms: number | undefined;
  let standing = false;

  function begin(now: number): void {
    const idle = idle_ms();
    turn_before_ms = Math.max(0, now - began_ms - (idle - began_idle_ms));
    began_ms = now;
    began_idle_ms = idle;
    counts_before = [count, counts_before[0]];
    count = 0;
    const batch = read();
    batch_wait_ms = batch.count >= ADMIT_CROWD ? batch.oldest_ms : 0;
    judge(now);
  }

  function judge(now: number): void {
    const wait_ms = Math.max(Math.max(...counts_before) >= ADMIT_CROWD ? turn_before_ms : 0, batch_wait_ms);
    if (wait_ms > ADMIT_WAIT_MS_MAX) crowded_since_ms ??= now;
    else crowded_since_ms = undefined;
    if (wait_ms < ADMIT_TURN_MS) calm_since_ms ??= now;
    else calm_since_ms = undefined;
    if (crowded_since_ms !== undefined && now - crowded_since_ms > ADMIT_STANDING_MS) standing = true;
    if (calm_since_ms !== undefined && now - calm_since_ms > ADMIT_CALM_MS) standing = false;
  }

  return {
    arrived() {
      if (!in_turn) {
        in_turn = true;
        begin(now_ms());
        after_turn(() => {
          in_turn = false;
        });
      }
      count += 1;
    },
    full() {
      if (!standing) return false;
      return batch_wait_ms > ADMIT_TURN_MS || now_ms() - began_ms > ADMIT_TURN_MS;
    },
    watch(how) {
      read = how;
    },
    shedding: () => standing,
  };
}
