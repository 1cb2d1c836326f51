import { expect, it } from 'vitest';
import { OUTCOME_CODES, outcomeRule } from './outcomes.ts';

it('a refusal that asks to come back later is retryable', () => {
  for (const code of OUTCOME_CODES) {
    const rule = outcomeRule(code);
    if (rule.retry_after_seconds !== undefined) expect([code, rule.retryable]).toEqual([code, true]);
  }
});

it('every 429 and 503 says when to come back', () => {
  for (const code of OUTCOME_CODES) {
    const rule = outcomeRule(code);
    if (rule.status === 429 || rule.status === 503) {
      expect([code, rule.retry_after_seconds]).toEqual([code, expect.any(Number)]);
    }
  }
});
