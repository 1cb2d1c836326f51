/**
 * When more comes in than can be answered, somebody has to be told so, or everybody waits longer and longer. This
 * decides who: as a request's head is read, before anything is spent on it.
 *
 * What waits before it was read lies in sockets, where nobody can count it. But the event loop reads all sockets that have
 * something, then does the rest, then reads again: so what is read now has waited no longer than the turn before
 * plus this turn up to now. What waits after it was read waits for its batch, and the batcher knows how many and since when.
 *
 * A rush is no overload: at the opening of a sale thousands come in the same second, and are served within the next. So
 * new requests are refused only once the wait has been too long, for too many, for a second in all (`crowded_ms`). From then
 * on, until nobody had to be refused for a while, so many are let in as are served in ADMIT_QUEUE_MS at the pace of
 * the last second (Little's law), and never fewer than ADMIT_LEAST. Free of I/O; time is injected.
 */
import {
  ADMIT_CALM_MS,
  ADMIT_CROWD,
  ADMIT_LEAST,
  ADMIT_QUEUE_MS,
  ADMIT_STANDING_MS,
  ADMIT_TURN_MS,
  ADMIT_WAIT_MS_MAX,
} from '../../domain/limits.ts';
import { createPace } from './pace.ts';

export type Admission = {
  /** A request's head has been read. */
  arrived(): void;
  /** Is there no room for one more now? Asked once after `arrived`, by what may be refused; if not, it is let in. */
  full(): boolean;
  /** Where it can be read, once a turn, what waits for its answer. */
  watch(read: () => Waiting): void;
  /** Are some refused at present? For metrics. */
  shedding(): boolean;
  /** How many requests were served a millisecond in the last second. */
  served_per_ms(): number;
};

/** How many requests wait, and how long the oldest without a batch has waited. */
export type Waiting = { count: number; oldest_ms: number };

export type AdmissionOptions = {
  now_ms?: () => number;
  /** Time since the start that the event loop spent waiting for something to do. */
  idle_ms?: () => number;
  /** Calls back when this turn of the event loop has read what there was. */
  after_turn?: (done: () => void) => void;
};

/** A crowd that asks again as it is answered is not seen in every turn: it is gone when it was not seen for so long. */
const CROWD_GONE_MS = 250;

export function createAdmission(options: AdmissionOptions = {}): Admission {
  const {
    now_ms = () => performance.now(),
    idle_ms = () => performance.eventLoopUtilization().idle,
    after_turn = (done) => void setImmediate(done),
  } = options;
  const pace = createPace();
  let in_turn = false;
  let began_ms = now_ms();
  let began_idle_ms = idle_ms();
  /** Read in this turn. */
  let count = 0;
  /** When so many waited together as make a crowd. */
  let crowd_ms = Number.NEGATIVE_INFINITY;
  let admitted = 0;
  let read: () => Waiting = () => ({ count: 0, oldest_ms: 0 });
  let waiting: Waiting = { count: 0, oldest_ms: 0 };
  /** Time that was too crowded, less time that was not: a leaking bucket. */
  let crowded_ms = 0;
  let refused_ms = 0;
  let standing = false;
  /** How many this turn may let in, while some are refused. */
  let room = 0;

  function begin(now: number): void {
    const idle = idle_ms();
    const passed_ms = now - began_ms;
    const turn_ms = Math.max(0, passed_ms - (idle - began_idle_ms));
    began_ms = now;
    began_idle_ms = idle;
    // In the turn before: some waited for their answers as it began, and others to be read.
    if (waiting.count + count >= ADMIT_CROWD) crowd_ms = now;
    waiting = read();
    if (waiting.count >= ADMIT_CROWD) crowd_ms = now;
    pace.turn(now, admitted, waiting.count);
    count = 0;
    admitted = 0;
    judge(now, passed_ms, turn_ms);
    if (standing) room = Math.max(ADMIT_LEAST, pace.per_ms() * ADMIT_QUEUE_MS) - waiting.count;
  }

  function judge(now: number, passed_ms: number, turn_ms: number): void {
    const wait_ms = turn_ms + waiting.oldest_ms;
    if (now - crowd_ms <= CROWD_GONE_MS && wait_ms > ADMIT_WAIT_MS_MAX)
      crowded_ms += Math.min(passed_ms, wait_ms);
    else crowded_ms = Math.max(0, crowded_ms - passed_ms);
    if (standing) {
      standing = now - refused_ms <= ADMIT_CALM_MS;
      if (!standing) crowded_ms = 0;
    } else if (crowded_ms > ADMIT_STANDING_MS) {
      standing = true;
      refused_ms = now;
    }
  }

  /** Few are never refused, however slow the machine. */
  function isFull(): boolean {
    if (waiting.count + admitted < ADMIT_LEAST) return false;
    return admitted >= room || now_ms() - began_ms > ADMIT_TURN_MS;
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
      if (standing && isFull()) {
        refused_ms = began_ms;
        return true;
      }
      admitted += 1;
      return false;
    },
    watch(how) {
      read = how;
    },
    shedding: () => standing,
    served_per_ms: pace.per_ms,
  };
}
