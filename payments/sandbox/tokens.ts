/** What each test token does when a payment is confirmed with it. Any other token is declined. */
export type TokenBehavior = {
  outcome: 'authorized' | 'pending' | 'declined';
  decline_code?: string;
  /** The buyer has to do something first, and what comes of it if they approve. */
  challenge?: { type: 'redirect' | 'upi'; ends: 'authorized' | 'declined' };
  /** The payment is made, and the answer never comes. */
  never_answers?: true;
  /** The first confirmation of a reference is answered 500 with nothing done. */
  errs_once?: true;
  /** 500, stored: the same key is answered so for ever. */
  sticky?: 'before' | 'after';
  /** Takes its time before anything is done. */
  slow?: true;
};

const APPROVED = { outcome: 'authorized' } as const;
const declined = (decline_code: string) => ({ outcome: 'declined', decline_code }) as const;
const challenged = (type: 'redirect' | 'upi', ends: 'authorized' | 'declined' = 'authorized') =>
  ({ outcome: 'pending', challenge: { type, ends } }) as const;

export const TOKENS: Readonly<Record<string, TokenBehavior>> = {
  pm_ok: APPROVED,
  pm_declined: declined('card_declined'),
  pm_insufficient_funds: declined('insufficient_funds'),
  pm_expired_card: declined('expired_card'),
  pm_timeout: { outcome: 'authorized', never_answers: true },
  pm_error_once: { outcome: 'authorized', errs_once: true },
  pm_error_sticky: { outcome: 'authorized', sticky: 'before' },
  pm_error_sticky_done: { outcome: 'authorized', sticky: 'after' },
  pm_slow: { outcome: 'authorized', slow: true },
  pm_late: { outcome: 'pending' },
  pm_3ds: challenged('redirect'),
  pm_3ds_declined: challenged('redirect', 'declined'),
  pm_wallet: challenged('redirect'),
  pm_upi: challenged('upi'),
};

const INVALID: TokenBehavior = declined('invalid_token');

export function behaviorOf(token: string): TokenBehavior {
  return isToken(token) ? TOKENS[token] : INVALID;
}

export function isToken(token: string): boolean {
  return Object.hasOwn(TOKENS, token);
}
