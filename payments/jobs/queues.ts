/**
 * The saga's queues. Every limit is explicit: a queue that ends or forgets a job by a default would leave money
 * hanging (the sweep would find it, but late).
 *
 * | queue | a job carries | made by |
 * |---|---|---|
 * | saga-authorize | order ids, a chunk | ingest, in its transaction |
 * | saga-capture   | attempt ids, a chunk | the transaction that confirmed their orders |
 * | saga-reverse   | attempt ids, a chunk | the transaction that found their money unwanted, or the sweep |
 * | saga-look      | attempt ids, a chunk | payment start, and the sweep |
 * | saga-refund    | one refund id | the transaction that recorded the operator's wish, or the sweep; tried again as below |
 * | saga-retry     | one attempt id that failed | the transaction that wrote the failure; tried again with backoff and jitter |
 * | saga-dead      | what used up its tries | pg-boss: somebody has to look; the sweep goes on slowly meanwhile |
 */
export const DEAD_LETTER_QUEUE = 'saga-dead';

export const QUEUES = [
  'saga-authorize',
  'saga-capture',
  'saga-reverse',
  'saga-look',
  'saga-refund',
  'saga-retry',
  DEAD_LETTER_QUEUE,
] as const;

export type QueueName = (typeof QUEUES)[number];

/** Orders or attempts that one job carries. */
export const CHUNK_SIZE = 100;

/**
 * A job that runs longer is given to another worker while this one may go on. So a worker begins no call to a
 * provider later than half of this after it fetched the job: what it began has ended, and is written, by then.
 */
export const JOB_EXPIRES_S = 60;

const RETENTION_MINUTES = 30 * 24 * 60;

export type QueueSettings = {
  retryLimit: number;
  /** Doubles with each try, times 1 to 2 at random (pg-boss). */
  retryDelay: number;
  retryBackoff: boolean;
  expireInSeconds: number;
  retentionMinutes: number;
  deadLetter?: string;
};

/** A chunk fails only when the ledger is away: its orders' failures have jobs of their own. */
const CHUNK: QueueSettings = {
  retryLimit: 8,
  retryDelay: 1,
  retryBackoff: true,
  expireInSeconds: JOB_EXPIRES_S,
  retentionMinutes: RETENTION_MINUTES,
  deadLetter: DEAD_LETTER_QUEUE,
};

/** 1-2 s, 2-4 s, ... 64-128 s: given up after two to four minutes, when the sweep takes over. */
const ALONE: QueueSettings = { ...CHUNK, retryLimit: 7 };

const DEAD: QueueSettings = {
  retryLimit: 0,
  retryDelay: 0,
  retryBackoff: false,
  expireInSeconds: JOB_EXPIRES_S,
  retentionMinutes: RETENTION_MINUTES,
};

export const QUEUE_SETTINGS: Readonly<Record<QueueName, QueueSettings>> = {
  'saga-authorize': CHUNK,
  'saga-capture': CHUNK,
  'saga-reverse': CHUNK,
  'saga-look': CHUNK,
  'saga-refund': ALONE,
  'saga-retry': ALONE,
  'saga-dead': DEAD,
};
