/**
 * Every bound in one place, with its reason; the relations between them are asserted at load.
 * Units last in each name.
 */

/** Body of any request, bytes (contract: 413 above). */
export const BODY_BYTES_MAX = 16 * 1024;

/** Lines an order may have after equal SKUs are added up. */
export const ORDER_LINES_MAX = 50;

/** Units of one line; a sale's purchase limit may be lower. */
export const LINE_UNITS_MAX = 1_000;

/** Requests one script call carries: Lua's `unpack` takes just under 8,000 values, and 512 keep the script under 2 ms. */
export const BATCH_REQUESTS_MAX = 512;

/** Lines one script call carries, all requests together. */
export const BATCH_LINES_MAX = 2_048;

/** Payload one script call carries, bytes: one request may fill a body, so at least that. */
export const BATCH_BYTES_MAX = 512 * 1024;

/** Batches under way at once for one sale on one engine: the second travels while the first runs. */
export const BATCHES_IN_FLIGHT_MAX = 2;

/** Reservations waiting in one engine for a place in a batch, all sales together; above: 503 overloaded. */
export const PENDING_RESERVATIONS_MAX = 20_000;

/**
 * When an engine refuses new requests because more comes in than it can answer (engine/load/admission.ts). What is read in
 * one turn of the event loop has waited up to a turn: turns and waits for a batch together longer than this are too long ...
 */
export const ADMIT_WAIT_MS_MAX = 50;
/** ... if so many or more wait together: fewer are no overload, however slow the machine. Two batches. */
export const ADMIT_CROWD = 1_024;
/** ... and if it has been so for so long, ms: a rush is over by then. */
export const ADMIT_STANDING_MS = 1_000;
/** While refusing, so many are let in as are served in this time, ms, and no more in one turn than come during ADMIT_TURN_MS ... */
export const ADMIT_QUEUE_MS = 25;
export const ADMIT_TURN_MS = 20;
/** ... and so many in any case: half a batch keeps Redis and the engine at work. */
export const ADMIT_LEAST = 256;
/** Nobody is refused any more once nobody had to be for so long, ms: longer than those refused are told to stay away. */
export const ADMIT_CALM_MS = 3_000;
/**
 * Refusals leave at so much of the pace at which others are served (engine/load/held.ts): a refusal is less work than a sale, so
 * with that nearly all of the engine's time is left to those let in, whatever the machine ...
 */
export const ADMIT_REFUSALS_SHARE = 0.2;
/** ... so many a millisecond at least ... */
export const ADMIT_REFUSALS_PER_MS_MIN = 1;
/** ... and each after so long at most, ms. */
export const ADMIT_HELD_MS_MAX = 2_000;

/**
 * A body may take so long to come, and an answer so long without a part of it being taken, ms. Less than the 8 s after which the
 * server library begins to close, all of them at once (engine/load/patience.ts).
 */
export const STILL_MS_MAX = 7_000;

/** How long a reservation request may wait before a batch carrying it takes nothing (`not_after`), ms. */
export const RESERVE_DEADLINE_MS = 5_000;

/** One Redis call that has not come back is given up and sent again, ms. Must be well under RESERVE_DEADLINE_MS. */
export const REDIS_CALL_TIMEOUT_MS = 1_500;

/** Days whose record buckets a script looks into: today and two before, so a key is known for at least 48 h. */
export const RECORD_WINDOW_DAYS = 3;

/** A record bucket lives until this many days after its own began: the window plus one of slack. */
export const RECORD_TTL_DAYS = RECORD_WINDOW_DAYS + 1;

/** SKUs of one sale loaded by one script call. */
export const LOAD_ITEMS_MAX = 1_000;

/** Rows (buyers or SKUs) of one movement batch. */
export const MOVEMENT_ROWS_MAX = 1_000;

/** Fields, and bytes of names and values, that one step of a rebuild writes into Redis: some 0.25 ms of its time. */
export const STAGE_ROWS_MAX = 100;
export const STAGE_BYTES_MAX = 16_384;

/**
 * Steps of a rebuild on their way at once: Redis has the next, and others get their turn between two. Few, so that Redis
 * rests in between: who works without a pause is interrupted by the scheduler in the middle of a script.
 */
export const STAGE_STEPS_IN_FLIGHT = 4;

/** SKUs of a sale created through the API in one body of BODY_BYTES_MAX. */
export const SALE_ITEMS_MAX = 500;

/** Hold of a sale, seconds. */
export const HOLD_SECONDS_MIN = 1;
export const HOLD_SECONDS_MAX = 7 * 24 * 3_600;

/** Units of one SKU in a sale: far inside Lua's exact integers. */
export const STOCK_UNITS_MAX = 1_000_000_000;

/** Price of one unit in minor units: times LINE_UNITS_MAX times ORDER_LINES_MAX it stays a safe integer. */
export const UNIT_PRICE_MAX = 100_000_000_000;

/** Holds that a buyer may let run out in one sale, before a pause (ledger/migrations/0014_expired_holds.sql). */
export const EXPIRED_HOLDS_MAX = 3;

/** How long such a buyer's next hold has to wait after the last one ran out, ms. */
export const EXPIRED_HOLDS_PAUSE_MS = 10 * 60_000;

/** Tries to pay one order, one after another. */
export const ATTEMPTS_MAX = 3;

/** What a payment that was started adds to its hold, once; never more than the sale's hold, ms. */
export const PAYMENT_EXTENSION_MS = 120_000;

/** What every hold has left at least when the ledger comes back, or when it ingests late, ms. */
export const DEADLINE_GRACE_MS = 30_000;

/** A reconciler tells that it is there once a period; silence of two periods is an outage, ms. */
export const HEARTBEAT_PERIOD_MS = 2_000;

/** Webhook endpoints of one tenant. */
export const WEBHOOK_ENDPOINTS_MAX = 20;

/** After a rotation the secret before signs as well for so long, ms. */
export const WEBHOOK_SECRET_GRACE_MS = 24 * 3_600_000;

const UNPACK_MAX = 7_900;

for (const [holds, says] of [
  [BATCH_REQUESTS_MAX * 2 + 16 <= UNPACK_MAX, 'a batch fits one unpack'],
  [BATCH_LINES_MAX * 2 + 16 <= UNPACK_MAX, 'a batch of distinct SKUs fits one unpack'],
  [ORDER_LINES_MAX <= BATCH_LINES_MAX, 'one order fits a batch'],
  [BODY_BYTES_MAX * 2 <= BATCH_BYTES_MAX, 'one body fits a batch'],
  [ADMIT_TURN_MS < ADMIT_WAIT_MS_MAX, 'letting in so many does not prolong the overload'],
  [ADMIT_QUEUE_MS < ADMIT_WAIT_MS_MAX, 'who is let in does not wait too long'],
  [ADMIT_LEAST < ADMIT_CROWD, 'few are never an overload'],
  [ADMIT_HELD_MS_MAX < ADMIT_CALM_MS, 'a refusal that waits is no calm'],
  [ADMIT_STANDING_MS < RESERVE_DEADLINE_MS, 'an overload is told before its requests run out of time'],
  [REDIS_CALL_TIMEOUT_MS * 2 < RESERVE_DEADLINE_MS, 'a call can be sent again before its deadline'],
  [MOVEMENT_ROWS_MAX * 2 + 16 <= UNPACK_MAX, 'a movement batch fits one unpack'],
  [LOAD_ITEMS_MAX * 2 + 16 <= UNPACK_MAX, 'a load step fits one unpack'],
  [STAGE_ROWS_MAX * 2 + 16 <= UNPACK_MAX, 'a step of a rebuild fits one unpack'],
  [UNIT_PRICE_MAX * LINE_UNITS_MAX * ORDER_LINES_MAX <= Number.MAX_SAFE_INTEGER, 'an order total is exact'],
] as const) {
  if (!holds) throw new Error(`limits contradict each other: not true that ${says}`);
}
