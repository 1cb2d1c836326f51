/*
 * The protocols of Stampede (docs/protocol.md), small enough to be looked at in every order of events: two buyers with
 * one key each, a few units, a Redis whose verbs are atomic, a ledger whose transactions are atomic, reconcilers that
 * stop, die and wake up late between any two of their steps, a provider whose answers get lost, and copies of either store that come
 * back. docs/model.md says what is left out.
 *
 * A name in capitals that begins with BAD_ takes one mitigation out; test/model/suite.ts says which must be refuted.
 *
 *   UNITS      on sale          Q0, Q1   units that buyer 0 and 1 want      TRIES0, TRIES1   times that each sends its key
 *   RESTARTS   of Redis in place, memory kept           OLDER    times an older copy of Redis comes back
 *   LOST       times Redis comes back empty, or is emptied while it runs
 *   RESTORES   times an older copy of the ledger comes back               STOPS    times a reconciler dies or is stopped
 *   OPERATOR   times an operator wants a rebuild    LOST_REPLIES  of Redis to the releaser
 *   PAY        with payment     CANCEL   buyers may cancel                HOOKS    webhooks that arrive, late or twice
 */

#ifndef UNITS
#define UNITS 1
#endif
#ifndef Q0
#define Q0 1
#endif
#ifndef Q1
#define Q1 1
#endif
#ifndef TRIES0
#define TRIES0 2
#endif
#ifndef TRIES1
#define TRIES1 1
#endif
#define TRIES (b == 0 -> TRIES0 : TRIES1)
#ifndef RESTARTS
#define RESTARTS 0
#endif
#ifndef OLDER
#define OLDER 0
#endif
#ifndef LOST
#define LOST 0
#endif
#ifndef RESTORES
#define RESTORES 0
#endif
#ifndef OPERATOR
#define OPERATOR 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef LOST_REPLIES
#define LOST_REPLIES 0
#endif
#ifndef HOOKS
#define HOOKS 0
#endif

#define SEQ_MAX 12
#define N_MAX 8
#define QTY(b) ((b) == 0 -> Q0 : Q1)

/* ---- Redis: the sale's record, its stock, its keys, its stream. What a copy of it contains ---- */

typedef Memory {
  bit on;              /* there is a record */
  bit open;            /* recovery gate */
  byte epoch;
  byte gen;
  byte identity;       /* of the process that was checked */
  byte seq;
  byte applied;        /* movements: batches applied */
  byte avail;
  byte key[2];         /* what the first answer said, 0: key unknown. Stands for order id, amounts and time */
  byte marker;         /* epoch of what is staged, 0: nothing is */
  byte marker_identity;
  short entry[SEQ_MAX] /* the stream: kind + 8 * available + 64 * batches applied */
}

#define IS_TAKE(e) (((e) & 7) == 1 || ((e) & 7) == 2)
#define BUYER_OF(e) (((e) & 7) - 1)
#define APPLY 3
#define REBUILD 4
#define ENTRY(kind) ((kind) + 8 * redis.avail + 64 * redis.applied)
#define AVAIL_OF(e) (((e) >> 3) & 7)
#define N_OF(e) ((e) >> 6)

Memory redis;
byte process = 1;      /* identity of the Redis that runs */

/* ---- The ledger. What a copy of it contains ---- */

#define NONE 0
#define RESERVED 1
#define CONFIRMED 2
#define EXPIRED 3
#define CANCELED 4
#define FAILED 5
#define REJECTED 6

typedef Ledger {
  byte epoch;
  byte opened;         /* the epoch that Redis took last, as far as known */
  byte gen;
  byte identity;
  byte seq;            /* the cursor */
  short digest;        /* of the entry at the cursor */
  byte start;          /* where this generation begins */
  byte sealed;
  byte acked;
  bit fenced;
  bit rebuild;         /* wanted or under way */
  byte rebuild_gen;    /* the generation it makes, 0: not yet */
  byte unsealed;       /* units of movements without a number */
  byte batch[N_MAX];   /* units of each numbered batch */
  byte state[2];       /* of the orders */
  byte told[2];        /* what their first answer said */
  bit due[2];          /* the hold is over */
  byte attempt[2];
  bit unwanted[2]      /* reversal_wanted */
}

Ledger ledger;
byte clock = 1;        /* epochs are above the clock, so none comes twice */

/* ---- What the outside has seen ---- */

byte first[2];         /* the first answer that a buyer got */
byte engine[2];        /* the epoch that the engine before each buyer knows */

#define HOLDS(b) (ledger.state[b] == RESERVED || ledger.state[b] == CONFIRMED)
#define TAKEN ((HOLDS(0) -> Q0 : 0) + (HOLDS(1) -> Q1 : 0))

/* ---- The provider: the real one knows nothing of orders. NONE: never heard of it ---- */

#define PENDING 1
#define AUTHORIZED 2
#define CAPTURED 3
#define REFUNDED 4
#define VOIDED 5
#define DECLINED 6

byte paid[2];          /* state of the payment */
byte doubled[2];       /* a second payment for the same order */
byte seen[2];          /* bits of the states it has been in: what webhooks may tell */
bit late_hold[2];      /* a call that nobody waits for any more, and that may yet arrive */
bit late_take[2];

#define IS_OVER(a) ((a) == REFUNDED || (a) == VOIDED || (a) == DECLINED)

/* ---- Verbs in Redis: one script each, so one step each ---- */

byte reply;
#define OK 1
#define SOLD_OUT 2
#define OTHER_EPOCH 3
#define CLOSED 4
#define MISSING 5
#define ALREADY 6
#define IMPOSSIBLE 7

/* lib/guard.lua. Sets reply to 0 when the verb may go on. */
inline guard(epoch_known) {
  reply = 0;
  if
  :: !redis.on -> reply = MISSING
  :: else ->
#ifndef BAD_NO_FENCE
    if
    :: redis.open && (redis.identity != process || redis.epoch < epoch_known) -> redis.open = 0
    :: else
    fi;
#endif
    if
    :: !redis.open -> reply = CLOSED
    :: redis.open && redis.epoch > epoch_known -> reply = OTHER_EPOCH
    :: else
    fi
  fi
}

inline append(kind) {
  redis.seq++;
  assert(redis.seq < SEQ_MAX);
  redis.entry[redis.seq] = ENTRY(kind)
}

/* reserve.lua */
inline reserve(b) {
  guard(engine[b]);
  if
  :: reply == 0 ->
    if
#ifndef BAD_NO_RECORD
    :: redis.key[b] != 0 -> reply = OK
    :: redis.key[b] == 0 && redis.avail >= QTY(b) ->
#else
    :: redis.avail >= QTY(b) ->
#endif
      redis.avail = redis.avail - QTY(b);
      append(b + 1);
      redis.key[b] = redis.seq;
      reply = OK
    :: else -> reply = SOLD_OUT
    fi
  :: else
  fi
}

/* apply.lua */
inline apply(epoch_known, n, qty) {
  guard(epoch_known);
  if
  :: reply == 0 ->
    if
#ifndef BAD_NO_NUMBER
    :: n <= redis.applied -> reply = ALREADY
    :: n > redis.applied + 1 -> redis.open = 0; reply = IMPOSSIBLE
#else
    :: false
#endif
    :: else ->
      redis.avail = redis.avail + qty;
      redis.applied = n;
      append(APPLY);
      reply = OK
    fi
  :: else
  fi
}

/* ---- Transactions of the ledger ---- */

/* The trigger orders_updated: what leaves a state that holds units gives them back once, and wants its money back. */
inline end_order(b, to) {
  ledger.state[b] = to;
  printf("ledger: order %d ends as %d, its units go back\n", b, to);
  ledger.unsealed = ledger.unsealed + QTY(b);
#ifndef BAD_NO_REVERSAL
  if
  :: ledger.attempt[b] != NONE && !IS_OVER(ledger.attempt[b]) -> ledger.unwanted[b] = 1
  :: else
  fi
#endif
}

/* What one entry of the stream becomes (plan-chunk.ts). */
inline take_entry(e) {
  if
  :: IS_TAKE(e) ->
    if
    :: ledger.state[BUYER_OF(e)] != NONE -> ledger.unsealed = ledger.unsealed + QTY(BUYER_OF(e)); printf("ledger: order %d came again, its units go back\n", BUYER_OF(e))
    :: else ->
      ledger.told[BUYER_OF(e)] = e_seq;
      if
      :: TAKEN + QTY(BUYER_OF(e)) <= UNITS -> ledger.state[BUYER_OF(e)] = RESERVED; printf("ledger: order %d is reserved, from entry %d\n", BUYER_OF(e), e_seq)
      :: else -> ledger.state[BUYER_OF(e)] = REJECTED; printf("ledger: order %d does not fit, rejected\n", BUYER_OF(e))
      fi
    fi
  :: else
  fi
}

/* Invariant 1, at the stream position just read: the audit's equation. */
inline conservation(e) {
  assert(TAKEN <= UNITS);
  owed = ledger.unsealed;
  i = N_OF(e) + 1;
  do
  :: i <= ledger.sealed -> owed = owed + ledger.batch[i]; i++
  :: else -> break
  od;
  assert(AVAIL_OF(e) == UNITS - TAKEN - owed);
  i = 0; owed = 0
}

/* ---- Buyers, each at an engine of its own ---- */

proctype Buyer(byte b) {
  byte tries;
end:
  do
  :: tries < TRIES && redis.on && redis.open ->
    atomic {
      reserve(b);
      if
      :: reply == OTHER_EPOCH -> engine[b] = redis.epoch; printf("buyer %d asks: the engine learns epoch %d\n", b, redis.epoch)
      :: reply == CLOSED || reply == MISSING -> printf("buyer %d asks: 503, the sale recovers\n", b)
      :: reply == SOLD_OUT -> tries++; printf("buyer %d asks: sold out\n", b)
      :: reply == OK -> tries++; printf("buyer %d asks: reserved at %d, but the answer is lost\n", b, redis.key[b])
      :: reply == OK -> tries++; printf("buyer %d asks: reserved at %d, and is told so\n", b, redis.key[b]);
        if
        :: first[b] == 0 -> first[b] = redis.key[b]
        :: else -> assert(first[b] == redis.key[b])   /* invariant 3: the first answer, word for word */
        fi
      fi;
      reply = 0
    }
  :: tries == TRIES -> break
  od
}

/* ---- Time, expiry, cancellation ---- */

#ifdef PAY
active proctype Time() {
end:
  do
  :: atomic { ledger.state[0] == RESERVED && !ledger.due[0] -> ledger.due[0] = 1; printf("hold of order 0 is over\n") }
  :: atomic { ledger.state[1] == RESERVED && !ledger.due[1] -> ledger.due[1] = 1; printf("hold of order 1 is over\n") }
  od
}
#define OVER(b) (ledger.state[b] == RESERVED && ledger.due[b])
#else
#define OVER(b) (ledger.state[b] == RESERVED)
#endif

/* expire-due.ts: finding what is due and ending it are one statement, which asks for the state. */
active proctype Expiry() {
#ifndef BAD_EXPIRY_NO_CAS
end:
  do
  :: atomic { OVER(0) -> end_order(0, EXPIRED) }
  :: atomic { OVER(1) -> end_order(1, EXPIRED) }
  od
#else
end:
  do
  :: d_step { OVER(0) -> skip }; atomic { end_order(0, EXPIRED) }
  :: d_step { OVER(1) -> skip }; atomic { end_order(1, EXPIRED) }
  od
#endif
}

#ifdef CANCEL
active proctype Cancel() {
end:
  do
  :: atomic { ledger.state[0] == RESERVED && !ledger.due[0] || ledger.state[0] == CONFIRMED -> end_order(0, CANCELED) }; break
  :: true -> break
  od
}
#endif

/* ---- Release: movements to Redis (release-sale.ts) ---- */

byte lost_replies = LOST_REPLIES;

proctype Release() {
  byte epoch, n, qty;
end:
  do
  :: d_step { (ledger.sealed > ledger.acked || ledger.unsealed > 0) && !ledger.fenced && ledger.opened == ledger.epoch && redis.open ->
      epoch = ledger.epoch;
      if
      :: ledger.sealed > ledger.acked -> n = ledger.sealed
#ifndef BAD_SEAL_BLIND
      :: ledger.sealed == ledger.acked && redis.applied > ledger.sealed -> n = 0; ledger.fenced = 1 /* Redis is ahead */
      :: ledger.sealed == ledger.acked && redis.applied <= ledger.sealed && ledger.unsealed > 0 ->
#else
      :: ledger.sealed == ledger.acked && ledger.unsealed > 0 ->
#endif
        ledger.sealed++;
        assert(ledger.sealed < N_MAX);
        ledger.batch[ledger.sealed] = ledger.unsealed;
        ledger.unsealed = 0;
        n = ledger.sealed;
        printf("release: batch %d is sealed\n", n)
      :: else -> n = 0
      fi;
      qty = ledger.batch[n]
    }
    if
    :: n > 0 ->
      atomic {
        apply(epoch, n, qty);
        printf("release: batch %d of %d units to Redis: %d (1 applied, 3 epoch, 4 closed, 5 missing, 6 already, 7 gap)\n", n, qty, reply);
        if
        :: reply == OK || reply == ALREADY -> reply = 0
        :: reply == IMPOSSIBLE -> reply = 0; n = 0; ledger.fenced = 1
        :: reply != OK && reply != ALREADY && reply != IMPOSSIBLE -> reply = 0; n = 0
        :: (reply == OK || reply == ALREADY) && lost_replies > 0 -> lost_replies--; reply = 0; n = 0 /* the reply is lost */
        fi
      }
      d_step {
        if
#ifndef BAD_ACK_WITHOUT_EPOCH
        :: n > 0 && ledger.sealed == n && ledger.acked == n - 1 && ledger.epoch == epoch ->
#else
        :: n > 0 && ledger.sealed == n && ledger.acked == n - 1 ->
#endif
          ledger.acked = n; printf("ledger: batch %d is acknowledged\n", n)
        :: else
        fi;
        n = 0; qty = 0; epoch = 0
      }
    :: else -> epoch = 0; qty = 0
    fi
  od
}
/* ---- Follow: ingest, verify, rebuild (follow-sale.ts, verify-sale.ts, rebuild-sale.ts) ---- */

byte stops = STOPS;
bit following;         /* the advisory lock */

#define TO_FOLLOW (ledger.rebuild || !redis.on || process != ledger.identity || redis.epoch != ledger.epoch || \
  redis.gen != ledger.gen || redis.seq != ledger.seq || !redis.open || ledger.fenced || ledger.opened != ledger.epoch)

/* The record, and the entry at `at`. */
inline look(at) {
  x_on = redis.on; x_open = redis.open; x_epoch = redis.epoch; x_gen = redis.gen; 
  x_process = process; x_seq = redis.seq; x_applied = redis.applied;
  if
  :: at > 0 && at < SEQ_MAX -> e = redis.entry[at]
  :: else -> e = 0
  fi
}

/* Nothing was acknowledged meanwhile that the memory looked at does not have. */
#ifdef BAD_ISSUE_BLIND
#define ISSUABLE true
#else
#define ISSUABLE (ledger.acked <= x_applied)
#endif

/* Between any two steps a reconciler may die, or be stopped: then another one may be at work when it goes on. */
#if STOPS > 0
#define MAY_STOP \
  if \
  :: true \
  :: atomic { stops > 0 -> stops--; locked = 0; following = 0; printf("reconciler %d dies\n", _pid) }; goto again \
  :: atomic { stops > 0 && locked -> stops--; locked = 0; following = 0; printf("reconciler %d is stopped, and will go on later\n", _pid) } \
  fi
#else
#define MAY_STOP
#endif

proctype Follow() {
  bit locked;
  bit x_on, x_open;
  byte v_epoch, v_seq, x_epoch, x_gen, x_process, x_seq, x_applied, epoch, gen, start, n, i, e_seq;
  byte staged, staged_key0, staged_key1;
  short e;
  int owed;

again: skip;
  d_step {
    if :: locked -> locked = 0; following = 0 :: else fi;
    x_on = 0; x_open = 0; v_epoch = 0; v_seq = 0; x_epoch = 0; x_gen = 0; x_process = 0; x_seq = 0;
    x_applied = 0; epoch = 0; gen = 0; start = 0; n = 0; i = 0; e_seq = 0; staged = 0; staged_key0 = 0; staged_key1 = 0;
    e = 0; owed = 0
  }
end:
  d_step { !following && TO_FOLLOW -> following = 1; locked = 1; v_epoch = ledger.epoch; v_seq = ledger.seq; printf("reconciler %d follows\n", _pid) }
  MAY_STOP;
  /* read.lua */
  atomic {
  look(v_seq + 1);
  if
  :: ledger.rebuild -> goto rebuild
  :: else
  fi;
  if
  :: !x_on -> goto rebuild
  :: x_on && (x_process != ledger.identity || x_epoch != v_epoch || x_gen != ledger.gen) -> goto verify
  :: else
  fi;
  if
  :: x_seq < v_seq || x_seq > v_seq && e == 0 || e != 0 && N_OF(e) > ledger.sealed -> goto rebuild
  :: x_seq > v_seq && e != 0 && N_OF(e) <= ledger.sealed -> goto ingest
  :: x_seq == v_seq && (!x_open || ledger.opened != ledger.epoch) -> goto verify
  :: x_seq == v_seq && x_open && ledger.fenced -> goto rebuild
  :: else -> goto again
  fi
  }

ingest:
  MAY_STOP; /* write-chunk.ts: one transaction, and the cursor is compared and set */
  d_step {
    if
#ifndef BAD_CURSOR_NO_CAS
    :: ledger.epoch == v_epoch && ledger.seq == v_seq && N_OF(e) <= ledger.sealed /* a CHECK of the table */ ->
#else
    :: true ->
#endif
      e_seq = v_seq + 1;
      take_entry(e);
      ledger.seq = e_seq;
      ledger.digest = e;
      printf("reconciler %d: the cursor is at %d\n", _pid, e_seq);
      conservation(e)
    :: else
    fi
  }
  goto again;

verify:
  if
  :: ledger.rebuild -> goto rebuild
  :: else
  fi;
  d_step { redis.open = 0; v_seq = ledger.seq; printf("reconciler %d verifies, the sale is closed\n", _pid) }       /* fence.lua */
  MAY_STOP;
  d_step { look(v_seq) }
  MAY_STOP;
  atomic {
    v_epoch = ledger.epoch;
    /* memoryProblem */
    n = (x_on &&
      x_gen == ledger.gen &&
      (x_epoch == ledger.epoch || x_epoch == ledger.opened) &&
      x_seq >= ledger.seq && v_seq == ledger.seq &&
      (ledger.seq <= ledger.start || e == ledger.digest) &&
      x_applied >= ledger.acked && x_applied <= ledger.sealed)
#ifdef BAD_VERIFY_LOOKS_AWAY
  if :: x_on -> n = 1 :: else fi;
#endif
  if
  :: !n -> goto rebuild
  :: else -> skip
  fi
  }
  MAY_STOP;
  d_step { /* issue-epoch.ts */
    n = 0;
    if
    :: ledger.epoch == v_epoch && !ledger.rebuild && ISSUABLE ->
      clock++;
      epoch = clock;
      ledger.opened = (x_epoch < ledger.epoch -> x_epoch : ledger.epoch);
      ledger.epoch = epoch;
      ledger.identity = x_process;
      printf("reconciler %d: this is the memory that was followed; epoch %d is issued\n", _pid, epoch)
    :: else
    fi
  }
  if
  :: epoch == 0 -> goto again
  :: else
  fi;
  MAY_STOP;
  d_step { /* verify.lua */
    if
    :: redis.on && redis.epoch == x_epoch && redis.seq == x_seq && redis.applied == x_applied && process == x_process &&
        epoch > redis.epoch ->
      redis.epoch = epoch; redis.identity = process; redis.open = 1; n = 1; printf("reconciler %d: the sale is open under epoch %d\n", _pid, epoch)
    :: else
    fi
  }
  if
  :: n == 0 -> goto again
  :: else
  fi;
  MAY_STOP;
  d_step { /* mark-opened.ts */
    if
    :: ledger.epoch == epoch -> ledger.opened = epoch; ledger.fenced = 0
    :: else
    fi
  }
  goto again;

rebuild: skip;
  d_step { v_epoch = ledger.epoch; look(ledger.seq + 1) }
  if
  :: ledger.rebuild && ledger.rebuild_gen == ledger.gen && x_on && x_gen == ledger.gen && x_epoch == ledger.epoch &&
      ledger.seq == ledger.start && x_seq == ledger.start + 1 -> epoch = ledger.epoch; goto finish
  :: else
  fi;
  MAY_STOP;
  d_step { /* begin-rebuild.ts */
    if
    :: ledger.epoch == v_epoch ->
      clock++;
      epoch = clock;
      ledger.epoch = epoch;
      ledger.rebuild = 1;
      ledger.rebuild_gen = 0;
      ledger.fenced = 1;
      printf("reconciler %d rebuilds under epoch %d\n", _pid, epoch)
    :: else
    fi
  }
  if
  :: epoch == 0 -> goto again
  :: else
  fi;
  MAY_STOP;
  d_step { /* claim.lua */
    x_on = redis.on; x_process = process; x_seq = 0; x_gen = 0; n = 1;
    if
    :: redis.on && redis.epoch > epoch -> n = 0
    :: redis.on && redis.epoch <= epoch ->
      printf("reconciler %d: claimed\n", _pid);
#ifndef BAD_REBUILD_NO_GATE
      redis.open = 0; redis.epoch = epoch;
#endif
      x_seq = redis.seq; x_gen = redis.gen
    :: else
    fi
  }
  if
  :: n == 0 -> goto again
  :: else
  fi;
  MAY_STOP;
  /* drain-sale.ts: everything behind the cursor; the whole stream where it is not the one that was followed */
  d_step {
    e_seq = ledger.seq + 1;
    if
    :: ledger.seq > 0 && ledger.seq != ledger.start && redis.entry[ledger.seq] != 0 && redis.entry[ledger.seq] != ledger.digest ->
      e_seq = 1
    :: else
    fi
  }
#ifdef BAD_NO_DRAIN
  e_seq = SEQ_MAX;
#endif
drain: skip;
  d_step {
    if
    :: e_seq < SEQ_MAX -> e = redis.entry[e_seq]
    :: else -> e = 0
    fi
  }
  if
  :: e_seq < SEQ_MAX && e == 0 -> d_step { e_seq++ }; goto drain
  :: e_seq < SEQ_MAX && e != 0 ->
    d_step {
      if
      :: ledger.epoch == epoch ->
        printf("reconciler %d drains entry %d\n", _pid, e_seq);
        take_entry(e);
        if
        :: e_seq > ledger.seq -> ledger.seq = e_seq; ledger.digest = e
        :: else
        fi;
        e_seq++;
        e = 0
      :: else -> n = 0
      fi
    }
    if
    :: n == 0 -> goto again
    :: else -> goto drain
    fi
  :: else
  fi;
  MAY_STOP;
#ifdef BAD_SEAL_APART
  d_step { staged = UNITS - TAKEN; staged_key0 = ledger.told[0]; staged_key1 = ledger.told[1] }
  MAY_STOP;
#endif
  d_step { /* seal-sale.ts: one transaction and a snapshot of the same moment */
    if
    :: ledger.epoch == epoch ->
      if
      :: ledger.unsealed > 0 ->
        ledger.sealed++;
        assert(ledger.sealed < N_MAX);
        ledger.batch[ledger.sealed] = ledger.unsealed;
        ledger.unsealed = 0
      :: else
      fi;
      clock++;
      epoch = clock;
      gen = (ledger.gen > x_gen -> ledger.gen : x_gen) + 1;
      start = (ledger.seq > x_seq -> ledger.seq : x_seq);
      n = ledger.sealed;
      ledger.epoch = epoch; ledger.gen = gen; ledger.rebuild_gen = gen;
      ledger.seq = start; ledger.start = start; ledger.digest = 0;
      ledger.acked = n;
      printf("reconciler %d seals: epoch %d, generation %d, batch %d\n", _pid, epoch, gen, n);
#ifndef BAD_SEAL_APART
      staged = UNITS - TAKEN;
#ifndef BAD_NO_REPLAY
      staged_key0 = ledger.told[0]; staged_key1 = ledger.told[1]
#endif
#endif
    :: else -> epoch = 0
    fi;
    e = 0; e_seq = 0
  }
  if
  :: epoch == 0 -> goto again
  :: else
  fi;
  MAY_STOP;
  d_step { /* stage_begin.lua, stage.lua: under a marker */
    i = 0;
    if
    :: redis.on && redis.epoch >= epoch || redis.marker > epoch || process != x_process -> i = 1
    :: else -> redis.marker = epoch; redis.marker_identity = process; printf("reconciler %d has staged generation %d\n", _pid, gen)
    fi
  }
  if
  :: i == 1 -> goto again
  :: else
  fi;
  MAY_STOP;
  d_step { /* switch.lua */
    i = 0;
    if
#ifndef BAD_SWITCH_BLIND
    :: redis.on && redis.epoch >= epoch ||
#ifndef BAD_REBUILD_NO_GATE
        redis.on && (redis.seq != x_seq || redis.open && redis.identity == process) ||
#endif
        redis.marker != epoch || redis.marker_identity != process -> i = 1
#else
    :: false
#endif
    :: else ->
      redis.on = 1; redis.epoch = epoch; redis.gen = gen; redis.identity = process; redis.open = 0;
      redis.seq = start; redis.applied = n; redis.avail = staged;
      redis.key[0] = staged_key0; redis.key[1] = staged_key1;
      redis.marker = 0; redis.marker_identity = 0;
      append(REBUILD);
      printf("reconciler %d switches: epoch %d, %d available, closed\n", _pid, epoch, staged)
    fi
  }
  if
  :: i == 1 -> goto again
  :: else
  fi;
  MAY_STOP;
finish: skip;
  d_step { /* finishRebuild */
    if
    :: ledger.epoch == epoch && ledger.rebuild -> ledger.rebuild = 0; ledger.rebuild_gen = 0; ledger.fenced = 0; printf("reconciler %d: the rebuild is done\n", _pid)
    :: else
    fi
  }
  goto again
}

/* ---- What breaks. What a copy does not have, and the other store neither, was declared lost ---- */

#if OLDER + LOST + RESTORES + RESTARTS + OPERATOR > 0

inline copy_memory(to, from) {
  to.on = from.on; to.open = from.open; to.epoch = from.epoch; to.gen = from.gen; to.identity = from.identity;
  to.seq = from.seq; to.applied = from.applied; to.avail = from.avail; to.key[0] = from.key[0]; to.key[1] = from.key[1];
  to.marker = from.marker; to.marker_identity = from.marker_identity;
  i = 0;
  do
  :: i < SEQ_MAX -> to.entry[i] = from.entry[i]; i++
  :: else -> break
  od;
  i = 0
}

inline copy_ledger(to, from) {
  to.epoch = from.epoch; to.opened = from.opened; to.gen = from.gen; to.identity = from.identity; to.seq = from.seq;
  to.digest = from.digest; to.start = from.start; to.sealed = from.sealed; to.acked = from.acked; to.fenced = from.fenced;
  to.rebuild = from.rebuild; to.rebuild_gen = from.rebuild_gen; to.unsealed = from.unsealed;
  i = 0;
  do
  :: i < N_MAX -> to.batch[i] = from.batch[i]; i++
  :: else -> break
  od;
  i = 0;
  to.state[0] = from.state[0]; to.state[1] = from.state[1]; to.told[0] = from.told[0]; to.told[1] = from.told[1];
  to.due[0] = from.due[0]; to.due[1] = from.due[1];
  to.attempt[0] = from.attempt[0]; to.attempt[1] = from.attempt[1];
  to.unwanted[0] = from.unwanted[0]; to.unwanted[1] = from.unwanted[1]
}

/* An answer whose order is in neither store any more counts as never given. */
inline declare_lost() {
  i = 1; in_stream[0] = 0; in_stream[1] = 0;
  do
  :: i < SEQ_MAX ->
    if
    :: IS_TAKE(redis.entry[i]) -> in_stream[BUYER_OF(redis.entry[i])] = 1
    :: else
    fi;
    i++
  :: else -> break
  od;
  i = 0;
  if :: ledger.state[0] == NONE && !in_stream[0] -> first[0] = 0 :: else fi;
  if :: ledger.state[1] == NONE && !in_stream[1] -> first[1] = 0 :: else fi;
  in_stream[0] = 0; in_stream[1] = 0
}

#if OLDER > 0
Memory copy;
#endif
Memory nothing;
#if RESTORES > 0
Ledger old_ledger;
#endif

active proctype Faults() {
  byte i, restarts = RESTARTS, lost = LOST, asked = OPERATOR;
  bit in_stream[2];
#if OLDER > 0
  bit copied, came_back;
#endif
#if RESTORES > 0
  bit kept, restored;
#endif
end:
  do
#if OPERATOR > 0
  :: d_step { asked > 0 && !ledger.rebuild -> asked--; ledger.rebuild = 1; ledger.rebuild_gen = 0; printf("an operator wants a rebuild\n") }
#endif
#if RESTARTS > 0
  :: d_step { restarts > 0 -> restarts--; process++; printf("Redis restarts with its memory\n") }
#endif
#if OLDER > 0
  :: d_step { !copied && redis.on -> copied = 1; copy_memory(copy, redis); printf("a copy of Redis is kept\n") }
  :: d_step { copied && !came_back -> came_back = 1; process++; copy_memory(redis, copy); printf("Redis comes back as that copy\n"); copy_memory(copy, nothing); declare_lost() }
#endif
#if LOST > 0
  :: d_step { lost > 0 -> lost--; process++; copy_memory(redis, nothing); printf("Redis comes back empty\n"); declare_lost() }
  :: d_step { lost > 0 -> lost--; copy_memory(redis, nothing); printf("Redis is emptied while it runs\n"); declare_lost() }
#endif
#if RESTORES > 0
  :: d_step { !kept -> kept = 1; copy_ledger(old_ledger, ledger); printf("a copy of the ledger is kept\n") }
  :: d_step { kept && !restored -> restored = 1; copy_ledger(ledger, old_ledger); printf("the ledger comes back as that copy\n"); declare_lost() }
#endif
  :: true -> break
  od
}
#endif

/* ---- Payment (reconciler/saga), checkout road ---- */

#ifdef PAY

#define MAY_PAY(b) (ledger.state[b] == RESERVED && !ledger.due[b] && !ledger.unwanted[b] && \
  (ledger.attempt[b] == NONE || ledger.attempt[b] == PENDING))
#define TO_TAKE(b) (ledger.state[b] == CONFIRMED && ledger.attempt[b] == AUTHORIZED && !ledger.unwanted[b])
#define TO_REVERSE(b) (ledger.unwanted[b] && !IS_OVER(ledger.attempt[b]))

/* The provider carries a call out. Same key, same payment: what was done is not done again. */
inline hold_money(b) {
  if
  :: paid[b] == NONE -> paid[b] = AUTHORIZED
#ifdef BAD_NEW_KEY
  :: paid[b] == AUTHORIZED || paid[b] == CAPTURED -> doubled[b] = 1
#endif
  :: paid[b] == NONE -> paid[b] = DECLINED
  :: else
  fi;
  seen[b] = seen[b] | (1 << paid[b])
}
inline take_money(b) {
  if
  :: paid[b] == AUTHORIZED -> paid[b] = CAPTURED
  :: else
  fi;
  seen[b] = seen[b] | (1 << paid[b])
}
inline give_back(b, was) {
  if
  :: was == AUTHORIZED && paid[b] == AUTHORIZED -> paid[b] = VOIDED
  :: was == CAPTURED && paid[b] == CAPTURED -> paid[b] = REFUNDED
#ifndef BAD_REVERSAL_LEAVES_OPEN
  :: was == NONE && paid[b] == NONE -> paid[b] = VOIDED /* the reference is closed: what comes late is refused */
#endif
  :: else
  fi;
  if
  :: paid[b] != NONE -> seen[b] = seen[b] | (1 << paid[b])
  :: else
  fi
}

/* settle-attempts.ts: states only move forward, and what follows for the order is in the same transaction. */
inline settle(b, status) {
  if
  :: status != NONE && !IS_OVER(ledger.attempt[b]) && status > ledger.attempt[b] &&
      !(ledger.attempt[b] == CAPTURED && status != REFUNDED) ->
    ledger.attempt[b] = status;
    if
    :: status == AUTHORIZED || status == CAPTURED ->
      if
#ifndef BAD_LATE_CONFIRM
      :: ledger.state[b] == RESERVED && !ledger.due[b] && !ledger.unwanted[b] -> ledger.state[b] = CONFIRMED
#else
      :: ledger.state[b] == RESERVED || ledger.state[b] == EXPIRED -> ledger.state[b] = CONFIRMED
#endif
      :: else
      fi
    :: IS_OVER(status) && ledger.state[b] == RESERVED -> end_order(b, FAILED)
    :: else
    fi
  :: else
  fi;
  assert(TAKEN <= UNITS)
}

inline hold_money_lost(b) { late_hold[b] = 1; b = 0 }

/* Two, since a queue may run a job again while the one before still lives. */
proctype Saga() {
  byte b, was;
end:
  do
  /* authorize: the attempt's row is committed before the provider hears of it */
  :: atomic {
      if :: MAY_PAY(0) -> b = 0 :: MAY_PAY(1) -> b = 1 fi;
      if :: ledger.attempt[b] == NONE -> ledger.attempt[b] = PENDING :: else fi
    }
    if
    :: atomic { hold_money(b); was = paid[b] }; goto settle_it
    :: d_step { hold_money_lost(b) }                       /* no answer; it may yet arrive */
    fi
  /* capture */
  :: atomic { if :: TO_TAKE(0) -> b = 0 :: TO_TAKE(1) -> b = 1 fi }
    if
    :: d_step { take_money(b); was = paid[b] }; goto settle_it
    :: d_step { late_take[b] = 1; b = 0 }
    fi
  /* reverse: a look first */
  :: atomic { if :: TO_REVERSE(0) -> b = 0 :: TO_REVERSE(1) -> b = 1 fi; was = paid[b] }
    atomic {
      give_back(b, was);
#ifdef BAD_REVERSAL_LEAVES_OPEN
      if :: was == NONE -> was = VOIDED; goto settle_it :: else fi;
#endif
      was = paid[b]
    }
    goto settle_it
  od;
settle_it:
  atomic {
    if
    :: settle(b, was)
    :: true                                                /* the worker died: somebody will look again */
    fi;
    b = 0; was = 0
  }
  goto end
}

/* Calls that nobody waits for. */
active proctype Network() {
end:
  do
  :: atomic { late_hold[0] -> late_hold[0] = 0; hold_money(0) }
  :: atomic { late_hold[1] -> late_hold[1] = 0; hold_money(1) }
  :: atomic { late_take[0] -> late_take[0] = 0; take_money(0) }
  :: atomic { late_take[1] -> late_take[1] = 0; take_money(1) }
  od
}

#if HOOKS > 0
active proctype Webhooks() {
  byte left = HOOKS, status;
end:
  do
  :: left > 0 -> atomic {
      if
      :: seen[0] != 0 ->
        if :: seen[0] & 4 -> status = AUTHORIZED :: seen[0] & 8 -> status = CAPTURED :: seen[0] & 16 -> status = REFUNDED
        :: seen[0] & 32 -> status = VOIDED :: seen[0] & 64 -> status = DECLINED fi;
        settle(0, status)
      :: seen[1] != 0 ->
        if :: seen[1] & 4 -> status = AUTHORIZED :: seen[1] & 8 -> status = CAPTURED :: seen[1] & 16 -> status = REFUNDED
        :: seen[1] & 32 -> status = VOIDED :: seen[1] & 64 -> status = DECLINED fi;
        settle(1, status)
      fi;
      status = 0; left--
    }
  :: true -> break
  od
}
#endif
#endif

/* ---- In the end: nobody has anything left to do ---- */

#define NET_ZERO(p) ((p) == NONE || (p) == VOIDED || (p) == REFUNDED || (p) == DECLINED)

active proctype Judge() {
end:
  timeout;
  atomic {
    /* recovered and drained */
    assert(redis.on && redis.open && redis.identity == process && redis.epoch == ledger.epoch && !ledger.fenced && !ledger.rebuild);
    assert(redis.seq == ledger.seq && ledger.unsealed == 0 && ledger.sealed == ledger.acked && redis.applied == ledger.acked);
    /* invariant 1 */
    assert(TAKEN <= UNITS && redis.avail == UNITS - TAKEN);
    /* invariant 2: each answer is an order, and Redis let in nobody for whom there was nothing */
    assert(first[0] == 0 || ledger.state[0] != NONE && ledger.told[0] == first[0]);
    assert(first[1] == 0 || ledger.state[1] != NONE && ledger.told[1] == first[1]);
#if RESTORES == 0
    /* A ledger that has forgotten an expiry has given the unit to nobody else: who got it meanwhile is rejected. */
    assert(ledger.state[0] != REJECTED && ledger.state[1] != REJECTED);
#endif
#ifdef PAY
    /* invariant 4: goods, or net 0, and never twice */
    assert(doubled[0] == 0 && doubled[1] == 0);
    assert(ledger.state[0] != RESERVED && ledger.state[1] != RESERVED);
    assert((ledger.state[0] == CONFIRMED) -> paid[0] == CAPTURED : NET_ZERO(paid[0]));
    assert((ledger.state[1] == CONFIRMED) -> paid[1] == CAPTURED : NET_ZERO(paid[1]))
#endif
  }
}

init {
  atomic {
    redis.on = 1; redis.open = 1; redis.epoch = 1; redis.gen = 1; redis.identity = 1; redis.avail = UNITS;
    ledger.epoch = 1; ledger.opened = 1; ledger.gen = 1; ledger.identity = 1;
    engine[0] = 1; engine[1] = 1;
    run Buyer(0);
    run Buyer(1);
    run Release();
    run Follow();
#if STOPS > 0
    run Follow();
#endif
#ifdef PAY
    run Saga();
#ifdef TWO_SAGAS
    run Saga();
#endif
#endif
  }
}
