/** What an admin call changes about the sandbox while it runs. */
export type Settings = {
  /** Which changes send a webhook: those that no answer told of, or all. */
  events: 'untold' | 'all';
  /** How long after its deadline a late payment succeeds, ms. */
  late_ms: number;
  /** How long a slow payment takes, ms. */
  slow_ms: number;
  /** How long a buyer takes to approve in a UPI app, ms. */
  upi_ms: number;
  /** Faults' times are multiplied by it: 0.001 makes three minutes 180 ms. */
  time_scale: number;
};

export const DEFAULT_SETTINGS: Settings = {
  events: 'untold',
  late_ms: 2_000,
  slow_ms: 3_000,
  upi_ms: 10_000,
  time_scale: 1,
};
