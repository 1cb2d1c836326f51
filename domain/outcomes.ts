/**
 * Every way in which a request can be refused: ONE catalogue. `retryable` says whether the same request may
 * succeed later with nothing else done; a 5xx is always safe to retry with the same Idempotency-Key.
 */

export type OutcomeRule = {
  status: number;
  title: string;
  /** Unless the handler can say more. */
  detail: string;
  retryable: boolean;
  /** Default of the Retry-After header, seconds. */
  retry_after_seconds?: number;
};

export const OUTCOMES = {
  invalid_request: {
    status: 400,
    title: 'The request is not valid',
    detail: 'Change what `errors` names and send it again.',
    retryable: false,
  },
  idempotency_key_missing: {
    status: 400,
    title: 'The Idempotency-Key header is missing',
    detail: 'Send a key of your own making, the same one with every retry of this request.',
    retryable: false,
  },
  idempotency_key_invalid: {
    status: 400,
    title: 'The Idempotency-Key header is not valid',
    detail: 'A key is 16 to 255 of A-Za-z0-9_-.',
    retryable: false,
  },
  unauthorized: {
    status: 401,
    title: 'A valid token is needed',
    detail: 'Send `Authorization: Bearer <token>` with a token that has not ended.',
    retryable: false,
  },
  forbidden: {
    status: 403,
    title: 'The role of this token is not enough',
    detail: 'This is for another role than the one in your token.',
    retryable: false,
  },
  sale_not_open: {
    status: 403,
    title: 'The sale has not opened yet',
    detail: 'Come back at `opens_at`.',
    retryable: true,
  },
  sale_closed: {
    status: 403,
    title: 'The sale is closed',
    detail: 'Nothing is sold any more.',
    retryable: false,
  },
  not_found: {
    status: 404,
    title: 'Not found',
    detail: 'There is no such thing here, or it is not yours.',
    retryable: false,
  },
  method_not_allowed: {
    status: 405,
    title: 'This path does not have this method',
    detail: 'The Allow header names the methods it has.',
    retryable: false,
  },
  sold_out: {
    status: 409,
    title: 'Sold out',
    detail: 'Less is left than you asked for; `short` says of what.',
    retryable: false,
  },
  temporarily_held: {
    status: 409,
    title: 'All units are held by other buyers',
    detail: 'Some may come back: nothing is left, but not everything is paid for yet.',
    retryable: true,
    retry_after_seconds: 5,
  },
  invalid_state: {
    status: 409,
    title: 'The state does not allow this',
    detail: '`state` says how it stands.',
    retryable: false,
  },
  sale_exists: {
    status: 409,
    title: 'A sale with this id exists',
    detail: 'It was created with another body.',
    retryable: false,
  },
  certificate_not_ready: {
    status: 409,
    title: 'Something may still come that changes it',
    detail: '`missing` says what; `interim=true` certifies the sale as it stands.',
    retryable: true,
    retry_after_seconds: 5,
  },
  shipment_exists: {
    status: 409,
    title: 'Another parcel is recorded for this order',
    detail: 'An order has one parcel. `shipment` of the order says which.',
    retryable: false,
  },
  reservation_expired: {
    status: 410,
    title: 'The reservation is over',
    detail: 'Its units are for sale again. Buying anew takes a new Idempotency-Key.',
    retryable: false,
  },
  payload_too_large: {
    status: 413,
    title: 'The body is too large',
    detail: 'A body has at most 16 KiB.',
    retryable: false,
  },
  unsupported_media_type: {
    status: 415,
    title: 'The body must be JSON',
    detail: 'Send `Content-Type: application/json`, in UTF-8.',
    retryable: false,
  },
  purchase_limit_reached: {
    status: 422,
    title: 'The purchase limit is reached',
    detail: 'You would hold more units of this sale than a buyer may.',
    retryable: false,
  },
  idempotency_key_reused: {
    status: 422,
    title: 'This Idempotency-Key belongs to another request',
    detail: 'A new request takes a new key; a retry must be the same request.',
    retryable: false,
  },
  refund_too_large: {
    status: 422,
    title: 'That is more than is left',
    detail: '`left` says what can still be given back, in minor units of `currency`.',
    retryable: false,
  },
  unknown_sku: {
    status: 422,
    title: 'The sale does not have this SKU',
    detail: '`sku` names the first one that is unknown.',
    retryable: false,
  },
  rate_limited: {
    status: 429,
    title: 'Too many requests',
    detail: 'Wait as long as Retry-After says.',
    retryable: true,
    retry_after_seconds: 1,
  },
  internal_error: {
    status: 500,
    title: 'Something went wrong on our side',
    detail: 'It is logged under `request_id`. Trying again with the same Idempotency-Key is safe.',
    retryable: true,
  },
  sale_paused: {
    status: 503,
    title: 'The sale is paused',
    detail: 'Nothing is sold until it is resumed.',
    retryable: true,
    retry_after_seconds: 5,
  },
  sale_recovering: {
    status: 503,
    title: 'The sale is being checked after a disturbance',
    detail: 'It goes on by itself. Trying again with the same Idempotency-Key is safe.',
    retryable: true,
    retry_after_seconds: 1,
  },
  unavailable: {
    status: 503,
    title: 'The service is not available for the moment',
    detail: 'Trying again with the same Idempotency-Key is safe.',
    retryable: true,
    retry_after_seconds: 1,
  },
  overloaded: {
    status: 503,
    title: 'Too much to do for the moment',
    detail: 'Trying again with the same Idempotency-Key is safe.',
    retryable: true,
    retry_after_seconds: 1,
  },
} as const satisfies Record<string, OutcomeRule>;

export type OutcomeCode = keyof typeof OUTCOMES;

export const OUTCOME_CODES = Object.keys(OUTCOMES) as readonly OutcomeCode[];

/** The catalogue's row, with its optional columns. */
export function outcomeRule(code: OutcomeCode): OutcomeRule {
  return OUTCOMES[code];
}
