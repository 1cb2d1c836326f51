/** Why a payment failed, in words for its buyer, and what to do next. Providers have hundreds of codes; these say more than "declined".
 * A card that was lost, stolen or suspected is no word for whoever holds it now: those read as a plain decline. */

export type Reason = { text: string; advice: string };

const OTHER_CARD = 'Buy again with another card or another way to pay.';

const REASONS: Readonly<Record<string, Reason>> = {
  insufficient_funds: {
    text: 'Your bank says that the account does not have enough money for it.',
    advice: 'Buy again with another card, or when there is enough in the account.',
  },
  expired_card: { text: 'The card has expired.', advice: OTHER_CARD },
  card_declined: {
    text: 'Your bank declined the payment and gave no reason.',
    advice: 'Your bank can say why. Or buy again with another card.',
  },
  authentication_failed: {
    text: 'Your bank asked you to confirm the payment, and that did not succeed.',
    advice: 'Buy again and confirm the payment in your banking app when it asks.',
  },
  invalid_token: { text: 'The details of the payment could not be used.', advice: OTHER_CARD },
  limit_exceeded: {
    text: 'The payment is above a limit that your bank has set.',
    advice: 'Your bank can raise the limit. Or buy again with another card.',
  },
  expired: {
    text: 'The payment was not confirmed in time.',
    advice: 'Buy again, and confirm the payment while the order is held for you.',
  },
};

const PLAIN_DECLINES = [
  'declined',
  'generic_decline',
  'do_not_honor',
  'lost_card',
  'stolen_card',
  'lost_or_stolen',
  'pickup_card',
  'restricted_card',
  'fraudulent',
  'suspected_fraud',
];

const SAME_AS: Readonly<Record<string, keyof typeof REASONS>> = {
  insufficient_balance: 'insufficient_funds',
  insufficient_fund: 'insufficient_funds',
  authentication_required: 'authentication_failed',
  payment_intent_authentication_failure: 'authentication_failed',
  authentication_not_completed: 'authentication_failed',
  three_ds_failed: 'authentication_failed',
  card_expired: 'expired_card',
  card_velocity_exceeded: 'limit_exceeded',
  withdrawal_count_limit_exceeded: 'limit_exceeded',
  expire: 'expired',
  timeout: 'expired',
  payment_expired: 'expired',
  abandoned: 'expired',
  amount_too_large: 'limit_exceeded',
  ...Object.fromEntries(PLAIN_DECLINES.map((code) => [code, 'card_declined'])),
};

const UNKNOWN: Reason = {
  text: 'The payment did not go through.',
  advice: 'Buy again, with another card or another way to pay if you can.',
};

/** Upper case and dashes are providers' ways to write the same word. */
export function reasonOf(code: string | null | undefined): Reason {
  const word = (code ?? '').toLowerCase().replaceAll('-', '_');
  const key = Object.hasOwn(SAME_AS, word) ? SAME_AS[word] : word;
  return key !== undefined && Object.hasOwn(REASONS, key) ? (REASONS[key] as Reason) : UNKNOWN;
}
