/** What every client of the bench is told, and what it tells. */

/** `mixed`: see wrk-requests.lua, which alone knows it. */
export type Mode = 'unique' | 'replay' | 'mixed';

export type Load = {
  url: string;
  /** One a line; requests take them in turn. */
  bodies_file: string;
  /** One a line. */
  tokens_file: string;
  /** Begins every Idempotency-Key. At least 4 characters, no `-` at the end. */
  key_prefix: string;
  seconds: number;
  connections: number;
};

export type ClientResult = {
  /** That were answered. */
  requests: number;
  seconds: number;
  requests_per_s: number;
  /** Answers that were no 2xx. */
  not_2xx: number;
  /** Connections refused or broken, and answers that did not come in time. */
  failed: number;
  p50_ms: number;
  p90_ms: number;
  p99_ms: number;
  p999_ms: number;
  max_ms: number;
  /** Share of the time that the client waited for something to do: near 0 the client is the ceiling. */
  client_idle: number;
  /** Of a mixed run: how many of each kind were sent. */
  sent?: Record<'fresh' | 'retry' | 'altered' | 'invalid', number>;
  /** Of a client with a schedule. */
  schedule?: Schedule;
};

export type Schedule = {
  /** Requests that fell due, a second. */
  offered_per_s: number;
  /** How long after its time a request was sent, ms: what of a latency is the client's own, or for want of a connection. */
  late_p50_ms: number;
  late_p99_ms: number;
  /** From its sending, as a client without schedule would have told. */
  sent_p99_ms: number;
  /** Due, and never sent: every connection was waiting for an answer. */
  unsent: number;
};
