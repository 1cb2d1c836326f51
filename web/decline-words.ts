/** Why a payment was declined, and what helps. Codes are those of the providers' adapters; banks say little, so do we. */

/** `title`: where "Payment declined" would be the wrong word. */
type Decline = { reason: string; advice: string; title?: string };

const OTHER_CARD = 'Pay with another card, or ask your bank.';
const ANOTHER_WAY = 'Choose another way to pay.';
const AGAIN = 'Try again, or pay with another card.';

const NO_REASON: Decline = {
  reason: 'Your bank declined the payment and gave no reason.',
  advice: OTHER_CARD,
};
/** Lost, stolen, suspected: not for whoever holds the card now to read. */
const NEUTRAL: Decline = { reason: 'Your bank declined the payment.', advice: OTHER_CARD };
const NOT_YOU: Decline = {
  reason: 'Your bank did not get a confirmation from you.',
  advice: 'Buy again and confirm it with your bank, or pay with another card.',
};
const TOO_LATE: Decline = {
  title: 'Not approved in time',
  reason: 'The payment was not approved in time.',
  advice: 'Buy again and approve it before the hold ends.',
};
const WRONG_DETAILS: Decline = { reason: 'The details of this card are not right.', advice: AGAIN };
const BANK_AWAY: Decline = { reason: 'Your bank could not be reached.', advice: AGAIN };
const OVER_LIMIT: Decline = {
  reason: 'The payment is over a limit that your bank has set.',
  advice: OTHER_CARD,
};
const NOT_FOR_THIS: Decline = { reason: 'This card cannot be used for this purchase.', advice: ANOTHER_WAY };
const GIVEN_UP: Decline = {
  title: 'Payment canceled',
  reason: 'The payment was canceled before it was approved.',
  advice: ANOTHER_WAY,
};

const DECLINES: Readonly<Record<string, Decline>> = {
  card_declined: NO_REASON,
  generic_decline: NO_REASON,
  do_not_honor: NO_REASON,
  declined: NO_REASON,
  insufficient_funds: {
    reason: 'Your bank says there is not enough money on it.',
    advice: 'Pay with another card, or top this one up first.',
  },
  expired_card: { reason: 'This card has expired.', advice: 'Pay with another card.' },
  authentication_failed: NOT_YOU,
  authentication_required: NOT_YOU,
  payment_intent_authentication_failure: NOT_YOU,
  lost_or_stolen: NEUTRAL,
  lost_card: NEUTRAL,
  stolen_card: NEUTRAL,
  pickup_card: NEUTRAL,
  restricted_card: NEUTRAL,
  account_blocked: NEUTRAL,
  fraudulent: NEUTRAL,
  suspected_fraud: NEUTRAL,
  incorrect_number: WRONG_DETAILS,
  incorrect_cvc: WRONG_DETAILS,
  invalid_cvc: WRONG_DETAILS,
  invalid_expiry_month: WRONG_DETAILS,
  invalid_expiry_year: WRONG_DETAILS,
  incorrect_zip: WRONG_DETAILS,
  processing_error: BANK_AWAY,
  issuer_not_available: BANK_AWAY,
  try_again_later: BANK_AWAY,
  card_velocity_exceeded: OVER_LIMIT,
  withdrawal_count_limit_exceeded: OVER_LIMIT,
  amount_too_large: OVER_LIMIT,
  limit_exceeded: OVER_LIMIT,
  card_not_supported: NOT_FOR_THIS,
  currency_not_supported: NOT_FOR_THIS,
  transaction_not_allowed: NOT_FOR_THIS,
  method_not_supported: {
    reason: 'This sale’s payment provider does not take this way to pay.',
    advice: ANOTHER_WAY,
  },
  capture_not_supported: NOT_FOR_THIS,
  amount_not_supported: NOT_FOR_THIS,
  contact_required: {
    reason: 'This way to pay needs your e-mail address and your phone number.',
    advice: 'Enter both, then buy again.',
  },
  invalid_token: { reason: 'The payment provider does not know this way to pay.', advice: ANOTHER_WAY },
  expired: TOO_LATE,
  payment_expired: TOO_LATE,
  abandoned: TOO_LATE,
  canceled: GIVEN_UP,
  canceled_by_buyer: GIVEN_UP,
  reference_closed: {
    reason: 'The payment was stopped before it was through.',
    advice: ANOTHER_WAY,
  },
};

/** For any code: those we do not know get words that are true of every decline. */
export function declineWords(code: string | null | undefined): Decline {
  return DECLINES[code ?? ''] ?? { reason: 'The payment was declined.', advice: OTHER_CARD };
}
