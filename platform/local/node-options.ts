/**
 * How Node runs the reconciler. What ingest has read lives until it is written, longer than most that is allocated: with little
 * room for the young the collector copies it about, which took a quarter of the reconciler's time.
 */
export const RECONCILER_NODE_OPTIONS: readonly string[] = ['--max-semi-space-size=64'];
