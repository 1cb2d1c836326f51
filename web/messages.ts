/** Every refusal in plain words: what happened, and what to do next. Nothing here promises what the API does not. */
import type { Problem } from './api-types.ts';

/** What the buyer may press next to the message. */
export type NextStep = 'try_again' | 'new_session' | 'reload' | 'see_orders' | 'check_address';

export type Message = {
  title: string;
  text: string;
  next?: NextStep;
  /** A moment the message counts down to, ISO 8601; `{left}` in the text is the time left. */
  until?: string;
};

type Words = (problem: Problem, sku: string | undefined) => Message;

const OURS: Words = () => ({
  title: 'This page and the shop misunderstood each other',
  text: 'Nothing was bought. Reload the page and try again.',
  next: 'reload',
});

const MESSAGES: Readonly<Record<string, Words>> = {
  invalid_request: ({ errors }) => ({
    title: 'The shop cannot read this order',
    text: `Nothing was bought. ${errors?.map(({ path, message }) => `${fieldName(path)} ${message}`).join('; ') || 'Check what you entered'}.`,
    next: 'check_address',
  }),
  idempotency_key_missing: OURS,
  idempotency_key_invalid: OURS,
  idempotency_key_reused: OURS,
  payload_too_large: OURS,
  unsupported_media_type: OURS,
  method_not_allowed: OURS,
  sale_exists: OURS,
  shipment_exists: OURS,
  certificate_not_ready: OURS,
  refund_too_large: OURS,
  unauthorized: () => ({
    title: 'Your session is over',
    text: 'Nothing was bought. Start a new session, then press Buy again.',
    next: 'new_session',
  }),
  forbidden: () => ({
    title: 'This token may not buy',
    text: 'It belongs to another role. Open the page with the token of a buyer.',
  }),
  not_found: () => ({ title: 'Not found', text: 'It does not exist, or it belongs to somebody else.' }),
  sold_out: ({ short }, sku) => {
    const left = short?.find((line) => line.sku === sku)?.available ?? 0;
    if (left > 0) {
      return {
        title: `Only ${left} left`,
        text: `You asked for more. Nothing was bought. Choose ${left === 1 ? '1' : `up to ${left}`} and press Buy again.`,
      };
    }
    return {
      title: 'Sold out',
      text: 'Every unit is sold. Nothing was bought and nothing will be charged.',
    };
  },
  temporarily_held: ({ earliest_release_at }) => ({
    title: 'All held by other buyers right now',
    text: earliest_release_at
      ? 'Nothing was bought. Units come back if a payment fails or a hold runs out: the first hold ends in {left}. Try again then.'
      : 'Nothing was bought. Units come back if a payment fails or a hold runs out. Try again in a moment.',
    until: earliest_release_at,
    next: 'try_again',
  }),
  purchase_limit_reached: ({ limit, held }) => ({
    title: limit ? `The limit is ${limit} for each buyer` : 'You have reached the limit for each buyer',
    text: limitText(limit, held),
    next: held ? 'see_orders' : undefined,
  }),
  sale_not_open: ({ opens_at }) => ({
    title: 'Not open yet',
    text: opens_at ? 'The sale opens in {left}. Nothing was bought.' : 'Nothing was bought. Come back later.',
    until: opens_at,
    next: 'try_again',
  }),
  sale_closed: () => ({
    title: 'The sale is closed',
    text: 'Nothing was bought. Orders you already have are not affected.',
  }),
  sale_paused: () => ({
    title: 'The shop has paused the sale',
    text: 'Nothing was bought. Orders you already have are not affected. Try again when it goes on.',
    next: 'try_again',
  }),
  sale_recovering: () => ({
    title: 'The sale is being checked after a disturbance',
    text: 'It opens again by itself. Asking again is safe: you cannot buy twice.',
    next: 'try_again',
  }),
  unknown_sku: () => ({
    title: 'This product is not in the sale',
    text: 'Nothing was bought. Reload the page to see what is.',
    next: 'reload',
  }),
  rate_limited: ({ detail }) => ({
    title: 'Not so fast',
    text: detail ?? 'That was a lot of requests. Wait a moment.',
    next: 'try_again',
  }),
  unavailable: () => ({
    title: 'The shop does not answer at the moment',
    text: 'Asking again is safe: you cannot buy twice.',
    next: 'try_again',
  }),
  overloaded: () => ({
    title: 'Very many people are buying at this moment',
    text: 'Asking again is safe: you cannot buy twice.',
    next: 'try_again',
  }),
  internal_error: () => ({
    title: 'Something went wrong in the shop',
    text: 'Asking again is safe: you cannot buy twice.',
    next: 'try_again',
  }),
  invalid_state: ({ state }) => ({
    title: 'Too late for that',
    text: state ? `The order is ${stateWord(state)}.` : 'The order has moved on.',
  }),
  reservation_expired: () => ({
    title: 'The hold has run out',
    text: 'Your units went back on sale. Buy again if there are any left.',
  }),
};

/** The codes that have words of their own. */
export const MESSAGE_CODES = Object.keys(MESSAGES);

/** `sku`: the product whose Buy was pressed. */
export function messageFor(problem: Problem, sku?: string): Message {
  const words = MESSAGES[problem.code];
  if (words) return words(problem, sku);
  return { title: problem.title ?? 'The shop refused this', text: problem.detail ?? 'Nothing was bought.' };
}

function limitText(limit: number | undefined, held: number | undefined): string {
  if (!held) return 'You asked for more. Nothing was bought. Choose fewer and press Buy again.';
  const left = Math.max(0, (limit ?? 0) - held);
  const more = left > 0 ? `You can buy ${left} more.` : 'Cancel one of your orders to buy something else.';
  return `You already have ${held} in your orders. Nothing more was bought. ${more}`;
}

function fieldName(path: string): string {
  return path.replace(/^.*\//, '').replaceAll('_', ' ') || 'The order';
}

const STATE_WORDS: Readonly<Record<string, string>> = {
  payment_failed: 'not paid',
  authorized: 'approved for payment',
};

export function stateWord(state: string): string {
  return STATE_WORDS[state] ?? state;
}
