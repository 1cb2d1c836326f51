/**
 * A client that sends by the clock, whatever becomes of what it sent before: request n is due n / rate seconds after the begin, and
 * its latency counts from then. A server that stalls is thus charged with everybody who would have come meanwhile.
 */
import type { ClientResult, Load, Schedule } from './client.ts';
import { runForked } from './forked.ts';

export type OpenLoopLoad = Load & {
  /** Requests/s. `connections` are opened beforehand; each has one request under way at most. */
  rate: number;
};

export type OpenLoopResult = ClientResult & { schedule: Schedule };

export const runOpenLoop = (load: OpenLoopLoad): Promise<OpenLoopResult> =>
  runForked('./open-loop-process.ts', load) as Promise<OpenLoopResult>;
