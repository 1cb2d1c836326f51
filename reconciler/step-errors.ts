/** What a role does when a step fails: says it once, then now and again, and waits a moment. */
import type { Logger } from '../platform/log.ts';
import { isUnavailable } from '../platform/postgres.ts';
import { RedisUnavailable } from '../platform/redis.ts';

const AWAY_RETRY_MS = 100;
const BUG_RETRY_MS = 1_000;
const REMIND_MS = 10_000;

/** For LoopOptions.onError. Redis or the ledger being away is a warning, anything else an error. */
export function stepErrors(log: Logger, role: string): (error: unknown) => number {
  let said = { what: '', at_ms: 0 };
  return (error) => {
    const away =
      error instanceof RedisUnavailable ? 'Redis' : isUnavailable(error) ? 'the ledger' : undefined;
    const what = away ?? String(error);
    const now = performance.now();
    if (what !== said.what || now - said.at_ms > REMIND_MS) {
      said = { what, at_ms: now };
      if (away) log.warn({ role, err: error }, `${away} is away; trying again`);
      else log.error({ role, err: error }, 'a step failed; trying again');
    }
    return away ? AWAY_RETRY_MS : BUG_RETRY_MS;
  };
}
