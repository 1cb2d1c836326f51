/**
 * autocannon, the client with which users of Node repeat a figure, as a process. Without `rate` it sends as fast as it is answered.
 * With it, each connection sends its part of a second's requests at the second's begin.
 */
import type { ClientResult, Load } from './client.ts';
import { runForked } from './forked.ts';

export type AutocannonLoad = Load & {
  /** Requests/s of all connections. */
  rate?: number;
  /** With a rate: latencies of requests that could not be sent in time are added (coordinated omission). Default true. */
  corrected?: boolean;
};

export const runAutocannon = (load: AutocannonLoad): Promise<ClientResult> =>
  runForked('./autocannon-process.ts', load);
