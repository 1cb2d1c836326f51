/** What the test providers let a visitor pay with: the token, and what comes of it in words. */
import type { PaymentMethod, PaymentType } from './api-types.ts';

export type PaymentChoice = { type: PaymentType; token: string; label: string; hint: string };

export const PAYMENT_CHOICES: readonly { group: string; choices: readonly PaymentChoice[] }[] = [
  {
    group: 'Goes through',
    choices: [
      card('pm_ok', 'Card that pays', 'The bank says yes at once.'),
      card(
        'pm_slow',
        'Card that takes its time',
        'The bank says yes after a while. Your units are held meanwhile.',
      ),
    ],
  },
  {
    group: 'Needs you',
    choices: [
      card(
        'pm_3ds',
        'Card with 3-D Secure',
        'The bank asks you on its own page, where you approve or decline.',
      ),
      {
        ...{ type: 'upi', token: 'pm_upi', label: 'UPI' },
        hint: 'Waits until you approve it in an app, by link or QR code.',
      },
      {
        ...{ type: 'wallet', token: 'pm_wallet', label: 'Wallet' },
        hint: 'Sends you to the wallet’s page to approve it.',
      },
    ],
  },
  {
    group: 'Is declined',
    choices: [
      card('pm_declined', 'Card that is declined', 'The bank says no and gives no reason.'),
      card('pm_insufficient_funds', 'Card without enough money', 'The bank says no: not enough money.'),
      card('pm_3ds_declined', 'Card that fails 3-D Secure', 'The bank asks you, and then says no.'),
    ],
  },
  {
    group: 'Provider in trouble',
    choices: [
      card('pm_error_once', 'Card that fails once, then pays', 'The provider answers with an error first.'),
      card('pm_timeout', 'Card whose answer is lost', 'It is paid, but nobody hears of it. We look it up.'),
      card(
        'pm_late',
        'Card that pays too late',
        'The yes comes after the hold has ended, and is given back.',
      ),
    ],
  },
];

function card(token: string, label: string, hint: string): PaymentChoice {
  return { type: 'card', token, label, hint };
}

export function choiceOf(token: string): PaymentChoice | undefined {
  return PAYMENT_CHOICES.flatMap(({ choices }) => choices).find((choice) => choice.token === token);
}

/** A token that is none of these is a card's. */
export function methodOf(token: string): PaymentMethod {
  return { type: choiceOf(token)?.type ?? 'card', token };
}
