/** What each test token does when a payment is authorized with it. Any other token is declined. */
export type TokenBehavior = {
  outcome: 'authorized' | 'pending' | 'declined';
  decline_code?: string;
  /** The payment is made, and the answer never comes. */
  never_answers?: true;
  /** The first authorization of a reference is answered 500 with nothing done. */
  errs_once?: true;
  /** Takes its time before anything is done. */
  slow?: true;
};

export const TOKENS: Readonly<Record<string, TokenBehavior>> = {
  pm_ok: { outcome: 'authorized' },
  pm_declined: { outcome: 'declined', decline_code: 'card_declined' },
  pm_insufficient_funds: { outcome: 'declined', decline_code: 'insufficient_funds' },
  pm_timeout: { outcome: 'authorized', never_answers: true },
  pm_error_once: { outcome: 'authorized', errs_once: true },
  pm_slow: { outcome: 'authorized', slow: true },
  pm_late: { outcome: 'pending' },
};

const INVALID: TokenBehavior = { outcome: 'declined', decline_code: 'invalid_token' };

export function behaviorOf(token: string): TokenBehavior {
  return Object.hasOwn(TOKENS, token) ? TOKENS[token] : INVALID;
}
