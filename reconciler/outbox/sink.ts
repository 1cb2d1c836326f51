/**
 * Whoever wants to hear of what happens to orders is a sink: merchants' webhooks, notices to buyers. Each has a
 * cursor of its own in the ledger, so that one that is behind or fails delays nobody else.
 */
import type { EventRow } from '../../ledger/outbox/read-events.ts';
import type { Queryable } from '../../platform/postgres.ts';

/** One row of the orders' history, with whose it is. */
export type OutboxEvent = EventRow;

/** Which events a sink is handed. What it does not want is passed over inside the ledger and costs it nothing. */
export type Wanted = 'all' | 'none' | { types?: readonly string[]; tenants?: readonly string[] };

type Named = {
  /** Names its cursor. Never changes. */
  name: string;
  /** Where a cursor that is not there yet begins. Default: `end`, what happens from now on. */
  from?: 'start' | 'end';
};

export type Sink = Named & {
  /** Asked before each batch, in its transaction. Default: all. */
  wants?(tx: Queryable): Promise<Wanted>;
  /**
   * Writes down what is to be done about these events, in the transaction that moves the sink's cursor behind them:
   * each is taken exactly once, in the order of their ids. It talks to `tx` alone; whatever leaves the house is done
   * later, from what was written here. If it throws, the same events come again after a while.
   */
  take(tx: Queryable, events: readonly OutboxEvent[]): Promise<void>;
};

/** Reads for itself what lies in a range of ids, which is safe to read and is handed to it once. */
export type IdSink = Named & {
  /** Ids in a range at most. */
  ids_max: number;
  /** In the transaction that moves the cursor to `upto`. Returns how many events it found. */
  takeIds(tx: Queryable, range: { after: number; upto: number }): Promise<number>;
};

export type AnySink = Sink | IdSink;
